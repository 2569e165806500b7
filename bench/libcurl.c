/*
** The floor: what libcurl itself costs a C program that does the same and nothing else.
**
**   libcurl easy URL COUNT                one request after the other, on a kept connection
**   libcurl post URL BYTES COUNT          the same with a JSON body of BYTES
**   libcurl multi URL COUNT AT_ONCE [CA]  AT_ONCE at a time by curl_multi_socket_action and epoll;
**                                         over HTTP/2 when a CA file is given
**   libcurl file URL                      one large answer, read in pieces of up to 256 KiB
**
** The request is the one that qhub sends, line by line. Anything but an answer with status 200 and
** a body ends the program.
*/
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { MOST_AT_ONCE = 1000, BATCH = 64, BODY_LIMIT = 64 * 1024 };

typedef struct {
  CURL *easy;
  size_t length;
  char body[BODY_LIMIT];
} request;

static void fail(const char *why) {
  fprintf(stderr, "libcurl: %s\n", why);
  exit(1);
}

static size_t keep(char *bytes, size_t size, size_t count, void *user) {
  request *into = user;
  size_t length = size * count;
  if (into->length + length > sizeof into->body) return 0;
  memcpy(into->body + into->length, bytes, length);
  into->length += length;
  return length;
}

static size_t skip(char *bytes, size_t size, size_t count, void *user) {
  (void)bytes;
  *(size_t *)user += size * count;
  return size * count;
}

static struct curl_slist *header_lines(void) {
  struct curl_slist *lines = curl_slist_append(NULL, "authorization: Bearer demo-token");
  lines = curl_slist_append(lines, "accept: application/json, */*;q=0.5");
  return curl_slist_append(lines, "user-agent: qhub-lua/0.1");
}

static request *new_request(const char *ca_file) {
  request *made = calloc(1, sizeof *made);
  if (made == NULL) fail("not enough memory");
  made->easy = curl_easy_init();
  curl_easy_setopt(made->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(made->easy, CURLOPT_PRIVATE, made);
  curl_easy_setopt(made->easy, CURLOPT_HTTPHEADER, header_lines());
  curl_easy_setopt(made->easy, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(made->easy, CURLOPT_WRITEDATA, made);
  if (ca_file != NULL) {
    curl_easy_setopt(made->easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(made->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(made->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  }
  return made;
}

static void begin(request *each, const char *url) {
  each->length = 0;
  curl_easy_setopt(each->easy, CURLOPT_URL, url);
}

static void check(request *each, CURLcode code) {
  long status = 0;
  if (code != CURLE_OK) fail(curl_easy_strerror(code));
  curl_easy_getinfo(each->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status / 100 != 2 || each->length == 0) fail("not the answer that was expected");
}

/* {"input":{"data":"xxx…"}} of `size` bytes, which is never freed. */
static char *new_body(size_t size) {
  static const char before[] = "{\"input\":{\"data\":\"", after[] = "\"}}";
  size_t frame = sizeof before + sizeof after - 2;
  if (size < frame) fail("BYTES is too small");
  char *body = malloc(size + 1);
  if (body == NULL) fail("not enough memory");
  memset(body, 'x', size);
  memcpy(body, before, sizeof before - 1);
  memcpy(body + size - (sizeof after - 1), after, sizeof after);
  return body;
}

static void run_easy(const char *url, long count, size_t size) {
  request *only = new_request(NULL);
  if (size > 0) {
    struct curl_slist *lines = curl_slist_append(header_lines(), "content-type: application/json");
    curl_easy_setopt(only->easy, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(only->easy, CURLOPT_POSTFIELDS, new_body(size));
    curl_easy_setopt(only->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
  }
  for (long i = 0; i < count; i++) {
    begin(only, url);
    check(only, curl_easy_perform(only->easy));
  }
}

static void run_file(const char *url) {
  size_t total = 0;
  request *only = new_request(NULL);
  begin(only, url);
  curl_easy_setopt(only->easy, CURLOPT_BUFFERSIZE, 256L * 1024);
  curl_easy_setopt(only->easy, CURLOPT_WRITEFUNCTION, skip);
  curl_easy_setopt(only->easy, CURLOPT_WRITEDATA, &total);
  CURLcode code = curl_easy_perform(only->easy);
  if (code != CURLE_OK) fail(curl_easy_strerror(code));
  printf("%zu\n", total);
}

typedef struct {
  CURLM *multi;
  int epoll;
  long timer; /* milliseconds; -1: none */
} loop;

static int watch(CURL *easy, curl_socket_t fd, int what, void *user, void *known) {
  loop *self = user;
  struct epoll_event event = {0};
  (void)easy;
  event.data.fd = fd;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, fd, NULL);
    return 0;
  }
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  epoll_ctl(self->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  curl_multi_assign(self->multi, fd, self);
  return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *user) {
  (void)multi;
  ((loop *)user)->timer = timeout_ms;
  return 0;
}

static void turn(loop *self) {
  struct epoll_event events[BATCH];
  int running;
  int count = epoll_wait(self->epoll, events, BATCH, (int)self->timer);
  if (count == 0) {
    self->timer = -1;
    curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  for (int i = 0; i < count; i++) {
    int what = 0;
    if ((events[i].events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((events[i].events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(self->multi, events[i].data.fd, what, &running);
  }
}

static void run_multi(const char *url, long count, long at_once, const char *ca_file) {
  loop self = {curl_multi_init(), epoll_create1(EPOLL_CLOEXEC), -1};
  long started = 0, done = 0;
  curl_multi_setopt(self.multi, CURLMOPT_SOCKETFUNCTION, watch);
  curl_multi_setopt(self.multi, CURLMOPT_SOCKETDATA, &self);
  curl_multi_setopt(self.multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(self.multi, CURLMOPT_TIMERDATA, &self);
  curl_multi_setopt(self.multi, CURLMOPT_MAXCONNECTS, at_once);
  for (; started < at_once && started < count; started++) {
    request *each = new_request(ca_file);
    begin(each, url);
    curl_multi_add_handle(self.multi, each->easy);
  }
  while (done < count) {
    const CURLMsg *message;
    int left;
    turn(&self);
    while ((message = curl_multi_info_read(self.multi, &left)) != NULL) {
      CURLcode code = message->data.result;
      request *each = NULL;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&each);
      check(each, code);
      curl_multi_remove_handle(self.multi, each->easy);
      done++;
      if (started == count) continue;
      started++;
      begin(each, url);
      curl_multi_add_handle(self.multi, each->easy);
    }
  }
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "";
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (strcmp(mode, "easy") == 0 && count == 4) {
    run_easy(arguments[2], atol(arguments[3]), 0);
  } else if (strcmp(mode, "post") == 0 && count == 5) {
    run_easy(arguments[2], atol(arguments[4]), (size_t)atol(arguments[3]));
  } else if (strcmp(mode, "multi") == 0 && (count == 5 || count == 6)) {
    long at_once = atol(arguments[4]);
    if (at_once < 1 || at_once > MOST_AT_ONCE) fail("so many at once?");
    run_multi(arguments[2], atol(arguments[3]), at_once, arguments[5]);
  } else if (strcmp(mode, "file") == 0 && count == 3) {
    run_file(arguments[2]);
  } else {
    fail("easy URL COUNT | post URL BYTES COUNT | multi URL COUNT AT_ONCE [CA] | file URL");
  }
  return 0;
}
