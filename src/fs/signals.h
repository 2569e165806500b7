/*
** Writing without being killed for it.
**
** The kernel ends the process with a signal for some writes: SIGPIPE (no reader) and
** SIGXFSZ (a file grows past its limit). A library has no say over the program's handlers, so it
** holds the signal back in its own thread, for as long as the write lasts, and swallows the one
** that its own write raised; the write's errno says the same. Knows neither Lua nor curl.
*/
#ifndef QHUB_SIGNALS_H
#define QHUB_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef struct {
  int number;
  bool was_pending; /* raised by somebody else before: not ours to swallow */
  bool held;
  sigset_t before;
} qhub_held_signal;

/* Blocks `number` in this thread. */
void qhub_signal_hold(qhub_held_signal *held, int number);

/* Swallows what came in between and restores the thread's mask; leaves errno as it was. */
void qhub_signal_release(qhub_held_signal *held);

#endif
