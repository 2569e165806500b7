/*
** What many requests have in common: method, header lines as libcurl wants them, limits. See
** engine.h and internal.h. Knows nothing of connections.
*/
#include "internal.h"

#include <string.h>

/* Room for the lines that `qhub_prepared_complete` may add. */
enum { MOST_ADDED = 4, LONGEST_ADDED = sizeof "Accept-Encoding: identity" };

/* What to ask for where any encoding will do. */
static const char *known_encodings(void) {
  int features = curl_version_info(CURLVERSION_NOW)->features;
  bool gzip = (features & CURL_VERSION_LIBZ) != 0;
  bool brotli = (features & CURL_VERSION_BROTLI) != 0;
  if (gzip) return brotli ? " gzip, br" : " gzip";
  return brotli ? " br" : " identity";
}

/* Struct, list nodes, method and lines are one block. */
size_t qhub_prepared_size(const qhub_request *request, size_t header_count, size_t header_bytes) {
  size_t nodes = header_count + MOST_ADDED;
  size_t text = header_bytes + header_count + MOST_ADDED * (size_t)LONGEST_ADDED;
  return sizeof(qhub_prepared) + nodes * sizeof(struct curl_slist) + strlen(request->method) + 1 +
         text;
}

void qhub_prepared_init(qhub_prepared *prepared, const qhub_request *request, size_t header_count) {
  size_t method_size = strlen(request->method) + 1;
  prepared->request = *request;
  prepared->header_list = (struct curl_slist *)(prepared + 1);
  prepared->header_count = 0;
  char *text = (char *)(prepared->header_list + header_count + MOST_ADDED);
  prepared->request.method = memcpy(text, request->method, method_size);
  prepared->header_text = text + method_size;
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
void qhub_prepared_complete(qhub_prepared *prepared) {
  bool decode = prepared->request.decode;
  add_default(prepared, "Accept:", "");
  /* Also for a PUT without a body: libcurl would say that its nothing is a form. */
  if (strcmp(prepared->request.method, "GET") != 0) {
    add_default(prepared, "Content-Type:", "");
    add_default(prepared, "Expect:", "");
  }
  add_default(prepared, "Accept-Encoding:", decode ? known_encodings() : " identity");
}
