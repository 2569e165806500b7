/* The sorted names of an object: see names.h. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

bool qhub_json_names_grow(qhub_json_names *names) {
  size_t capacity = names->capacity > 0 ? 2 * names->capacity : 32;
  qhub_json_name *items = realloc(names->items, capacity * sizeof *items);
  if (items == NULL) return false;
  names->items = items;
  names->capacity = capacity;
  return true;
}

static int compare(const void *one, const void *other) {
  const qhub_json_name *a = one, *b = other;
  if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
  int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Most objects are small; for those an insertion sort is faster. */
void qhub_json_names_sort(qhub_json_names *names, size_t first) {
  enum { SMALL = 24 };
  qhub_json_name *items = names->items + first;
  size_t count = names->count - first;
  if (count > SMALL) {
    qsort(items, count, sizeof *items, compare);
    return;
  }
  for (size_t i = 1; i < count; i++) {
    qhub_json_name moved = items[i];
    size_t to = i;
    for (; to > 0 && compare(&items[to - 1], &moved) > 0; to--) items[to] = items[to - 1];
    items[to] = moved;
  }
}

void qhub_json_names_free(qhub_json_names *names) {
  free(names->items);
  *names = (qhub_json_names){NULL, 0, 0};
}
