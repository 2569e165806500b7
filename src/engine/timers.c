/* Deadlines: see timers.h. */
#include "timers.h"

#include <stdlib.h>
#include <time.h>

enum { SMALLEST_CAPACITY = 16 };

double qhub_monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void qhub_timers_init(qhub_timers *timers) {
  timers->heap = NULL;
  timers->count = 0;
  timers->capacity = 0;
  timers->reserved = 0;
}

void qhub_timers_free(qhub_timers *timers) {
  free(timers->heap);
  qhub_timers_init(timers);
}

bool qhub_timers_reserve(qhub_timers *timers) {
  if (timers->reserved == timers->capacity) {
    size_t capacity = timers->capacity > 0 ? timers->capacity * 2 : SMALLEST_CAPACITY;
    qhub_timer **heap = realloc(timers->heap, capacity * sizeof *heap);
    if (heap == NULL) return false;
    timers->heap = heap;
    timers->capacity = capacity;
  }
  timers->reserved++;
  return true;
}

void qhub_timers_release(qhub_timers *timers) {
  timers->reserved--;
}

static void put(qhub_timers *timers, size_t index, qhub_timer *timer) {
  timers->heap[index] = timer;
  timer->place = index + 1;
}

/* Moves `timer` from the hole at `index` towards the root. */
static void rise(qhub_timers *timers, size_t index, qhub_timer *timer) {
  while (index > 0) {
    size_t parent = (index - 1) / 2;
    if (timers->heap[parent]->deadline <= timer->deadline) break;
    put(timers, index, timers->heap[parent]);
    index = parent;
  }
  put(timers, index, timer);
}

/* Moves `timer` from the hole at `index` towards the leaves. */
static void sink(qhub_timers *timers, size_t index, qhub_timer *timer) {
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= timers->count) break;
    if (child + 1 < timers->count &&
        timers->heap[child + 1]->deadline < timers->heap[child]->deadline) {
      child++;
    }
    if (timer->deadline <= timers->heap[child]->deadline) break;
    put(timers, index, timers->heap[child]);
    index = child;
  }
  put(timers, index, timer);
}

void qhub_timers_set(qhub_timers *timers, qhub_timer *timer, double deadline) {
  bool later = timer->place > 0 && deadline > timer->deadline;
  size_t index = timer->place > 0 ? timer->place - 1 : timers->count++;
  timer->deadline = deadline;
  if (later) {
    sink(timers, index, timer);
  } else {
    rise(timers, index, timer);
  }
}

void qhub_timers_remove(qhub_timers *timers, qhub_timer *timer) {
  if (timer->place == 0) return;
  size_t index = timer->place - 1;
  timer->place = 0;
  timers->count--;
  if (index == timers->count) return;
  qhub_timer *last = timers->heap[timers->count];
  if (last->deadline < timer->deadline) {
    rise(timers, index, last);
  } else {
    sink(timers, index, last);
  }
}

qhub_timer *qhub_timers_first(const qhub_timers *timers) {
  return timers->count > 0 ? timers->heap[0] : NULL;
}
