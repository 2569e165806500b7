/*
** Pools and lanes: which transfers are inside libcurl, and which wait for their turn.
**
** The sessions of a pool share kept connections and resolved names. libcurl
** could queue by itself (CURLMOPT_MAX_HOST_CONNECTIONS), but would let the connect timeout of a
** queued transfer run; here a queue moves as long as its lane gets something done.
*/
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_LANES = 16, FEWEST_KEPT = 8 };

bool qhub_channel_open(qhub_channel *channel) {
  if (channel->multi != NULL) return true;
  long max_connections = channel->pool->max_connections;
  channel->timer = INFINITY;
  channel->multi = curl_multi_init();
  if (channel->multi == NULL) return false;
  if (qhub_callbacks_install_multi(channel) != CURLM_OK) {
    curl_multi_cleanup(channel->multi);
    channel->multi = NULL;
    return false;
  }
  long kept = max_connections > FEWEST_KEPT ? max_connections : FEWEST_KEPT;
  bool shared = channel == &channel->pool->channels[QHUB_CHANNEL_SHARED];
  long sharing = shared ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING;
  (void)curl_multi_setopt(channel->multi, CURLMOPT_MAXCONNECTS, kept);
  (void)curl_multi_setopt(channel->multi, CURLMOPT_PIPELINING, sharing);
  return true;
}

/* Lets go of the multi handle and its connections. */
static void close_channel(qhub_channel *channel) {
  if (channel->multi == NULL) return;
  qhub_held_signal held;
  qhub_sigpipe_begin(channel->pool->engine, &held);
  curl_multi_cleanup(channel->multi);
  qhub_sigpipe_end(&held);
  channel->multi = NULL;
  channel->timer = INFINITY;
}

static qhub_pool *make_pool(qhub_engine *engine, long max_connections) {
  qhub_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  qhub_link_init(&pool->lanes);
  pool->engine = engine;
  pool->max_connections = max_connections;
  for (int i = 0; i < QHUB_CHANNELS; i++) {
    pool->channels[i].pool = pool;
    pool->channels[i].timer = INFINITY;
  }
  qhub_link_append(&engine->pools, &pool->link);
  return pool;
}

qhub_pool *qhub_pool_acquire(qhub_engine *engine, long max_connections) {
  for (qhub_link *at = engine->pools.next; at != &engine->pools; at = at->next) {
    qhub_pool *pool = QHUB_OWNER(at, qhub_pool, link);
    if (pool->max_connections == max_connections) {
      pool->sessions++;
      return pool;
    }
  }
  qhub_pool *pool = make_pool(engine, max_connections);
  if (pool != NULL) pool->sessions = 1;
  return pool;
}

void qhub_pool_release(qhub_pool *pool) {
  if (--pool->sessions > 0) return;
  for (int i = 0; i < QHUB_CHANNELS; i++) close_channel(&pool->channels[i]);
  qhub_link *next;
  for (qhub_link *at = pool->lanes.next; at != &pool->lanes; at = next) {
    next = at->next;
    free(QHUB_OWNER(at, qhub_lane, link));
  }
  qhub_link_remove(&pool->link);
  free(pool);
}

/* A program that follows links to ever new hosts must not gather lanes for ever. */
static void free_idle_lanes(qhub_pool *pool) {
  qhub_link *next;
  for (qhub_link *at = pool->lanes.next; at != &pool->lanes; at = next) {
    qhub_lane *lane = QHUB_OWNER(at, qhub_lane, link);
    next = at->next;
    if (lane->active > 0 || !qhub_link_is_single(&lane->queue)) continue;
    qhub_link_remove(at);
    pool->lane_count--;
    free(lane);
  }
}

qhub_lane *qhub_pool_lane(qhub_pool *pool, const char *origin, size_t length) {
  for (qhub_link *at = pool->lanes.next; at != &pool->lanes; at = at->next) {
    qhub_lane *lane = QHUB_OWNER(at, qhub_lane, link);
    if (lane->origin_length == length && memcmp(lane->origin, origin, length) == 0) return lane;
  }
  if (pool->lane_count >= MANY_LANES) free_idle_lanes(pool);
  qhub_lane *lane = malloc(sizeof *lane + length);
  if (lane == NULL) return NULL;
  lane->pool = pool;
  lane->active = 0;
  lane->last_move = 0;
  qhub_link_init(&lane->queue);
  lane->origin_length = length;
  memcpy(lane->origin, origin, length);
  qhub_link_append(&pool->lanes, &lane->link);
  pool->lane_count++;
  return lane;
}

void qhub_lane_pump(qhub_lane *lane) {
  while (lane->active < lane->pool->max_connections && !qhub_link_is_single(&lane->queue)) {
    qhub_transfer *transfer = QHUB_OWNER(lane->queue.next, qhub_transfer, queue_link);
    qhub_link_remove(&transfer->queue_link);
    if (!qhub_transfer_activate(transfer)) {
      qhub_transfer_settle(transfer, CURLE_OK, transfer->failure.kind);
    }
  }
}

void qhub_pool_pump(qhub_pool *pool) {
  for (qhub_link *at = pool->lanes.next; at != &pool->lanes; at = at->next) {
    qhub_lane_pump(QHUB_OWNER(at, qhub_lane, link));
  }
}

void qhub_channel_act(qhub_channel *channel, curl_socket_t fd, int events) {
  int running;
  CURLMcode code = curl_multi_socket_action(channel->multi, fd, events, &running);
  /* Memory was too short to watch a descriptor: its transfer would never hear of it. */
  if (code != CURLM_OK) channel->broken = true;
}

/* Gives up everything that the channel has inside libcurl, and the multi handle: libcurl 7.88
** divides by zero when it uses a descriptor again that it had no memory to remember. */
static void give_up(qhub_channel *channel) {
  qhub_link *sessions = &channel->pool->engine->sessions;
  for (qhub_link *at = sessions->next; at != sessions; at = at->next) {
    qhub_session *session = QHUB_OWNER(at, qhub_session, link);
    if (session->pool != channel->pool) continue;
    qhub_link *next;
    for (qhub_link *each = session->transfers.next; each != &session->transfers; each = next) {
      qhub_transfer *transfer = QHUB_OWNER(each, qhub_transfer, session_link);
      next = each->next;
      if (transfer->handle == NULL || transfer->channel != channel) continue;
      qhub_transfer_settle(transfer, CURLE_OK, QHUB_FAIL_MEMORY);
    }
  }
  close_channel(channel);
  channel->broken = false;
}

/* Whether anything ended. */
static bool collect_channel(qhub_channel *channel) {
  const CURLMsg *message;
  int left;
  bool ended = false;
  if (channel->multi == NULL) return false;
  while ((message = curl_multi_info_read(channel->multi, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE) continue;
    qhub_handle *handle = NULL;
    CURLcode code = message->data.result;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&handle);
    qhub_transfer_finish(handle->transfer, code);
    ended = true;
  }
  if (!channel->broken) return ended;
  give_up(channel);
  return true;
}

void qhub_pool_collect(qhub_pool *pool) {
  bool ended = false;
  for (int i = 0; i < QHUB_CHANNELS; i++) ended = collect_channel(&pool->channels[i]) || ended;
  if (ended) qhub_pool_pump(pool);
}
