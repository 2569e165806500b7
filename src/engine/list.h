/*
** Doubly linked lists whose links live inside the elements: no allocation, removal from anywhere.
** A list is a ring through its head. Knows neither Lua nor curl.
*/
#ifndef QHUB_ENGINE_LIST_H
#define QHUB_ENGINE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct qhub_link {
  struct qhub_link *previous;
  struct qhub_link *next;
} qhub_link;

/* The struct of `type` whose `member` is `*link`. */
#define QHUB_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Makes an empty list, or an element that is in no list. */
static inline void qhub_link_init(qhub_link *link) {
  link->previous = link;
  link->next = link;
}

/* Whether the list has no element; whether the element is in no list. */
static inline bool qhub_link_is_single(const qhub_link *link) {
  return link->next == link;
}

static inline void qhub_link_append(qhub_link *list, qhub_link *link) {
  link->previous = list->previous;
  link->next = list;
  list->previous->next = link;
  list->previous = link;
}

/* Takes the element out of its list, if it is in one. */
static inline void qhub_link_remove(qhub_link *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  qhub_link_init(link);
}

#endif
