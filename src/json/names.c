/* The sorted names of an object: see names.h. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

/* The first `length` (at most 8) bytes as a number. A constant length is one instruction. */
static inline uint64_t big_endian(const char *bytes, size_t length) {
  uint64_t number = 0;
  for (size_t i = 0; i < length; i++) number |= (uint64_t)(unsigned char)bytes[i] << (56 - 8 * i);
  return number;
}

bool qhub_json_names_add(qhub_json_names *names, const char *bytes, size_t length, int slot) {
  if (names->count == names->capacity) {
    size_t capacity = names->capacity > 0 ? 2 * names->capacity : 32;
    qhub_json_name *items = realloc(names->items, capacity * sizeof *items);
    if (items == NULL) return false;
    names->items = items;
    names->capacity = capacity;
  }
  qhub_json_name *name = &names->items[names->count++];
  name->bytes = bytes;
  name->length = length;
  name->slot = slot;
  name->prefix = length < 8 ? big_endian(bytes, length) : big_endian(bytes, 8);
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
