/*
** What many requests have in common: method, header lines as libcurl wants them, limits. See
** engine.h and internal.h. Knows nothing of connections.
*/
#include "internal.h"

#include <string.h>

/* Room for the lines that `add_defaults` may add. */
enum { MOST_ADDED = 4, LONGEST_ADDED = sizeof "Accept-Encoding: identity" };

/* What to ask for where any encoding will do. */
static const char *known_encodings(void) {
  int features = curl_version_info(CURLVERSION_NOW)->features;
  bool gzip = (features & CURL_VERSION_LIBZ) != 0;
  bool brotli = (features & CURL_VERSION_BROTLI) != 0;
  if (gzip) return brotli ? " gzip, br" : " gzip";
  return brotli ? " br" : " identity";
}

/* How many list nodes its lines may need. */
static size_t count_nodes(const qhub_request *request) {
  size_t count = MOST_ADDED;
  for (const char *at = request->header_lines; (at = strchr(at, '\n')) != NULL; at++) count++;
  return count;
}

/* Struct, list nodes, method and lines are one block. */
size_t qhub_prepared_size(const qhub_request *request) {
  size_t nodes = count_nodes(request) * sizeof(struct curl_slist);
  size_t text = strlen(request->method) + strlen(request->header_lines) + 2;
  return sizeof(qhub_prepared) + nodes + text + MOST_ADDED * (size_t)LONGEST_ADDED;
}

/* Adds a line of `length` bytes, which is in the block already, and after which a byte is free.
** "Name:" makes libcurl leave the line out; it sends "Name;" as an empty header. */
static void add_line(qhub_prepared *prepared, char *line, size_t length) {
  struct curl_slist *node = &prepared->header_list[prepared->header_count];
  size_t given = length;
  while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) length--;
  bool is_blank = length < given && memchr(line, ':', length) == line + length - 1;
  if (is_blank) line[length - 1] = ';';
  line[length] = '\0';
  *node = (struct curl_slist){.data = line};
  if (prepared->header_count > 0) node[-1].next = node;
  prepared->header_count++;
}

/* Writes "Name:" and `value` to `text`, unless there is a line of that name. Returns what is free
** after that. */
static char *add_default(qhub_prepared *prepared, char *text, const char *name, const char *value) {
  size_t length = strlen(name); /* with its colon */
  for (size_t i = 0; i < prepared->header_count; i++) {
    const char *line = prepared->header_list[i].data;
    if (!curl_strnequal(line, name, length - 1)) continue;
    if (line[length - 1] == ':' || line[length - 1] == ';') return text;
  }
  size_t value_length = strlen(value);
  memcpy(text, name, length);
  memcpy(text + length, value, value_length);
  add_line(prepared, text, length + value_length);
  return text + length + value_length + 1;
}

/* libcurl adds some lines by itself, and "Expect", which would only cost a round trip: a name
** without a value makes it leave the line out. Accept-Encoding is written here since libcurl's own
** is slow to write (it formats byte by byte, twice); gzip and br are what servers know. */
static void add_defaults(qhub_prepared *prepared, char *text) {
  text = add_default(prepared, text, "Accept:", "");
  /* Also for a PUT without a body: libcurl would say that its nothing is a form. */
  if (strcmp(prepared->request.method, "GET") != 0) {
    text = add_default(prepared, text, "Content-Type:", "");
    text = add_default(prepared, text, "Expect:", "");
  }
  const char *encodings = prepared->request.decode ? known_encodings() : " identity";
  (void)add_default(prepared, text, "Accept-Encoding:", encodings);
}

void qhub_prepared_init(qhub_prepared *prepared, const qhub_request *request) {
  struct curl_slist *list = (struct curl_slist *)(prepared + 1);
  char *text = (char *)(list + count_nodes(request));
  size_t method_size = strlen(request->method) + 1;
  *prepared = (qhub_prepared){.request = *request, .header_list = list};
  prepared->request.method = memcpy(text, request->method, method_size);
  prepared->request.header_lines = NULL; /* the list has them */
  text += method_size;
  memcpy(text, request->header_lines, strlen(request->header_lines) + 1);
  for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
    add_line(prepared, text, (size_t)(end - text));
  }
  add_defaults(prepared, text);
}
