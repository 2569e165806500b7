/*
** What many requests have in common: method, header lines as libcurl wants them, limits. See
** engine.h and internal.h. Knows nothing of connections.
*/
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Room for the lines that `qhub_prepared_complete` may add. */
enum { MOST_ADDED = 4, LONGEST_ADDED = sizeof "Accept-Encoding: identity" };

/* Struct, list nodes, method and lines are one block. */
qhub_prepared *qhub_prepared_new(const qhub_request *request, size_t header_count,
                                 size_t header_bytes) {
  size_t nodes = header_count + MOST_ADDED;
  size_t method_size = strlen(request->method) + 1;
  size_t text_size = header_bytes + header_count + MOST_ADDED * (size_t)LONGEST_ADDED;
  size_t list_size = nodes * sizeof(struct curl_slist);
  qhub_prepared *prepared = malloc(sizeof *prepared + list_size + method_size + text_size);
  if (prepared == NULL) return NULL;
  prepared->references = 1;
  prepared->request = *request;
  prepared->header_list = (struct curl_slist *)(prepared + 1);
  prepared->header_count = 0;
  char *text = (char *)(prepared->header_list + nodes);
  prepared->request.method = memcpy(text, request->method, method_size);
  prepared->header_text = text + method_size;
  return prepared;
}

void qhub_prepared_release(qhub_prepared *prepared) {
  if (--prepared->references == 0) free(prepared);
}

/* Appends a node whose text is what was written at `header_text`, `length` bytes without its NUL.
** */
static void add_node(qhub_prepared *prepared, size_t length) {
  struct curl_slist *node = &prepared->header_list[prepared->header_count];
  node->data = prepared->header_text;
  node->data[length] = '\0';
  node->next = NULL;
  if (prepared->header_count > 0) node[-1].next = node;
  prepared->header_count++;
  prepared->header_text += length + 1;
}

/* "Name:" makes libcurl leave the line out; it sends "Name;" as an empty header. */
void qhub_prepared_add_header(qhub_prepared *prepared, const char *line, size_t length) {
  size_t given = length;
  while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) length--;
  memcpy(prepared->header_text, line, length);
  const char *colon = memchr(line, ':', length);
  bool is_blank = length < given && colon != NULL && colon == line + length - 1;
  if (is_blank) prepared->header_text[length - 1] = ';';
  add_node(prepared, length);
}

/* Adds "Name:" and `value`, unless the caller gave a line of that name. */
static void add_default(qhub_prepared *prepared, const char *name, const char *value) {
  size_t length = strlen(name); /* with its colon */
  for (size_t i = 0; i < prepared->header_count; i++) {
    const char *line = prepared->header_list[i].data;
    if (!curl_strnequal(line, name, length - 1)) continue;
    if (line[length - 1] == ':' || line[length - 1] == ';') return;
  }
  size_t value_length = strlen(value);
  memcpy(prepared->header_text, name, length);
  memcpy(prepared->header_text + length, value, value_length);
  add_node(prepared, length + value_length);
}

/* libcurl adds some lines by itself, and "Expect", which would only cost a round trip: a name
** without a value makes it leave the line out. Accept-Encoding is written here since libcurl's own
** is slow to write (it formats byte by byte, twice); gzip and br are what servers know. */
void qhub_prepared_complete(qhub_prepared *prepared, const qhub_session *session) {
  bool decode = prepared->request.decode && session != NULL && session->engine != NULL;
  add_default(prepared, "Accept:", "");
  /* Also for a PUT without a body: libcurl would say that its nothing is a form. */
  if (strcmp(prepared->request.method, "GET") != 0) {
    add_default(prepared, "Content-Type:", "");
    add_default(prepared, "Expect:", "");
  }
  add_default(prepared, "Accept-Encoding:", decode ? session->engine->encodings : " identity");
}
