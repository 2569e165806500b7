/*
** What a child of fork() does with an engine of its parent: nothing but let go of it.
**
** Connections, TLS sessions and the set of epoll are shared with the parent: a byte read or written
** on them, a close_notify, even a change of the set would be the parent's loss. So the child makes
** everything inert and leaves libcurl's objects alone; their memory goes with the process.
*/
#include "internal.h"

#include <stdio.h>
#include <unistd.h>

void qhub_failure_left(qhub_failure *failure) {
  (void)snprintf(failure->message, sizeof failure->message,
                 "it belongs to the process that called fork(); make a new client in the child");
}

static void leave_transfers(qhub_link *list) {
  while (!qhub_link_is_single(list)) {
    qhub_transfer *transfer = QHUB_OWNER(list->next, qhub_transfer, link);
    qhub_link_remove(&transfer->link);
    transfer->easy = NULL;
    transfer->session = NULL;
    transfer->state = QHUB_TRANSFER_DONE;
    transfer->failure = (qhub_failure){
      .kind = QHUB_FAIL_CANCELLED,
      .phase = "connect",
      .sent = true,
    };
    qhub_failure_left(&transfer->failure);
  }
}

void qhub_engine_release(qhub_engine *engine) {
  engine->closed = true;
  engine->active_count = engine->queued_count = 0;
  while (!qhub_link_is_single(&engine->ready)) qhub_link_remove(engine->ready.next);
  qhub_sockets_close(&engine->sockets);
}

bool qhub_engine_left(qhub_engine *engine) {
  if (engine->closed || engine->maker == getpid()) return false;
  while (!qhub_link_is_single(&engine->sessions)) {
    qhub_session *session = QHUB_OWNER(engine->sessions.next, qhub_session, link);
    leave_transfers(&session->queue);
    leave_transfers(&session->active);
    qhub_link_remove(&session->link);
    session->engine = NULL;
    session->is_left = true;
  }
  qhub_engine_release(engine);
  return true;
}
