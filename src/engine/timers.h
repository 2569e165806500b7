/*
** Deadlines: a binary heap of timers that live inside their owners, and the clock they are read by.
**
** Room is reserved ahead, where a failure can be reported; setting and removing a timer then never
** fails and may be done from anywhere. Times are seconds of the monotonic clock. Knows neither Lua
** nor curl.
*/
#ifndef QHUB_TIMERS_H
#define QHUB_TIMERS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  double deadline;
  size_t place; /* 1-based place in the heap; 0: not set */
} qhub_timer;

typedef struct {
  qhub_timer **heap; /* owned array, 0-based; the timers belong to their owners */
  size_t count;
  size_t capacity;
  size_t reserved; /* how many owners may set a timer */
} qhub_timers;

/* Seconds of a clock that is never set back. */
double qhub_monotonic(void);

/* No timers; acquires nothing. */
void qhub_timers_init(qhub_timers *timers);

/* Frees the heap. No timer may be set any more. */
void qhub_timers_free(qhub_timers *timers);

/* Makes sure that one more owner can set its timer; false when memory is short. */
bool qhub_timers_reserve(qhub_timers *timers);

/* Gives back what `qhub_timers_reserve` took; the owner's timer must not be set. */
void qhub_timers_release(qhub_timers *timers);

/* Sets the timer, or moves it if it is set already. */
void qhub_timers_set(qhub_timers *timers, qhub_timer *timer, double deadline);

/* Unsets the timer; nothing happens if it is not set. */
void qhub_timers_remove(qhub_timers *timers, qhub_timer *timer);

/* The timer that is due first, or NULL. */
qhub_timer *qhub_timers_first(const qhub_timers *timers);

#endif
