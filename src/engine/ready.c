/*
** Which transfers are ready: something happened to them that was not polled yet. See
** internal.h.
*/
#include "internal.h"

void qhub_mark_ready(qhub_engine *engine, qhub_transfer *transfer) {
  if (transfer->ready_engine != NULL) return;
  transfer->ready_engine = engine;
  qhub_link_append(&engine->ready, &transfer->ready_link);
  engine->ready_count++;
}

void qhub_clear_ready(qhub_transfer *transfer) {
  if (transfer->ready_engine == NULL) return;
  transfer->ready_engine->ready_count--;
  transfer->ready_engine = NULL;
  qhub_link_remove(&transfer->ready_link);
}
