/*
** The names of an object's members while it is written, in the order of their bytes. Objects within
** objects share one list, like a stack. Owns the list, not the bytes of the names. Knows no Lua.
*/
#ifndef QHUB_JSON_NAMES_H
#define QHUB_JSON_NAMES_H

#include "word.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *bytes;
  size_t length;
  uint64_t prefix; /* private: its first bytes as a number of the same order */
  int slot;        /* of the caller's */
} qhub_json_name;

typedef struct {
  qhub_json_name *items; /* owned; moves when one is added */
  size_t count;
  size_t capacity;
} qhub_json_names;

/* Makes room for one more name; false when memory is lacking. */
bool qhub_json_names_grow(qhub_json_names *names);

/* Adds a name; false when memory is lacking. */
static inline bool qhub_json_names_add(qhub_json_names *names, const char *bytes, size_t length,
                                       int slot) {
  if (names->count == names->capacity && !qhub_json_names_grow(names)) return false;
  uint64_t prefix = __builtin_bswap64(qhub_json_word(bytes, length));
  names->items[names->count++] = (qhub_json_name){bytes, length, prefix, slot};
  return true;
}

/* Sorts the names from `first` on. */
void qhub_json_names_sort(qhub_json_names *names, size_t first);

/* Idempotent; leaves an empty list. */
void qhub_json_names_free(qhub_json_names *names);

#endif
