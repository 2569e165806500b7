/* Writing without being killed for it: see signals.h. */
#include "signals.h"

#include <errno.h>
#include <stddef.h>

static bool is_pending(int number) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

void qhub_signal_hold(qhub_held_signal *held, int number) {
  sigset_t only;
  held->number = number;
  held->was_pending = is_pending(number);
  (void)sigemptyset(&only);
  (void)sigaddset(&only, number);
  held->held = pthread_sigmask(SIG_BLOCK, &only, &held->before) == 0;
}

void qhub_signal_release(qhub_held_signal *held) {
  int saved = errno;
  if (!held->held) return;
  if (!held->was_pending && is_pending(held->number)) {
    sigset_t only;
    int got;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, held->number);
    (void)sigwait(&only, &got); /* returns at once: it is pending */
  }
  (void)pthread_sigmask(SIG_SETMASK, &held->before, NULL);
  held->held = false;
  errno = saved;
}
