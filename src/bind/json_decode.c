/*
** core.json.decode: a JSON text becomes Lua values, losing nothing.
**
** cJSON does the parsing; what it would get wrong is done here. The scanner (core/json_scan.h)
** refuses every text that RFC 8259 refuses before cJSON sees it. cJSON's tree, which lists the
** values in the order of the text, is then walked side by side with a cursor over the text, and
** what the tree does not hold as it was written is read from there: strings, because cJSON's end at
** a NUL, and numbers. cJSON reads numbers as doubles, of at most 63 characters, with strtod, which
** obeys the locale of the host program; it is not given them at all, but a 0 in place of each.
**
** cJSON takes 64 bytes for a value, so a text is never given to it as a whole when it is long:
** while the scanner goes on, the items that are complete are handed over in slices of about
** SLICE_SIZE, and a container that is longer than a slice is opened here, with its table on the
** Lua stack. So the tree stays small, and in the cache, whatever the text.
**
** The only file that includes cJSON.h. Lua may raise (out of memory) in the midst of the walk:
** everything that cJSON or malloc gave out is held by a box that closes itself.
*/
#include "json.h"

#include "../text/number.h"
#include "../json/scan.h"
#include "../json/text.h"
#include "../text/utf8.h"

#include <cjson/cJSON.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_SIZE = 16 * 1024 };

/* What must be freed whatever happens; a userdata. */
typedef struct {
  cJSON *tree;
  char *slice;               /* what cJSON is given: part of the text, prepared for it */
  size_t capacity;
} decode_box;

typedef struct {
  lua_State *L;
  decode_box *box;
  const char *cursor;        /* next byte of the text that is not yet a Lua value */
  qhub_json_scanner scanner;
} decoder;

static void drop_tree(decode_box *box) {
  cJSON *tree = box->tree;
  box->tree = NULL;
  cJSON_Delete(tree); /* takes NULL, too */
}

/* __close, __gc: idempotent */
static int close_box(lua_State *L) {
  decode_box *box = lua_touserdata(L, 1);
  drop_tree(box);
  free(box->slice);
  box->slice = NULL;
  box->capacity = 0;
  return 0;
}

/* ---- literals, read from the text -------------------------------------------------------- */

static void skip_to_token(decoder *d) {
  while (qhub_json_is_blank(*d->cursor) || *d->cursor == ',' || *d->cursor == ':') d->cursor++;
}

/* [-0, +1] */
static void push_number(decoder *d) {
  qhub_number number;
  d->cursor = qhub_number_read(d->cursor, &number);
  if (number.is_integer) {
    lua_pushinteger(d->L, number.integer);
  } else {
    lua_pushnumber(d->L, number.real);
  }
}

/* The string from `start` to `end` has an escape. Not inlined, for the buffer must not be part of
** the frame of a function that calls itself.  [-0, +1] */
__attribute__((noinline)) static void push_unescaped(lua_State *L, const char *start,
                                                     const char *end) {
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, (size_t)(end - start));
  luaL_pushresultsize(&buffer, qhub_json_unescape(start, end, room));
}

/* The cursor is at the opening quote.  [-0, +1] */
static void push_string(decoder *d) {
  const char *start = d->cursor + 1;
  const char *end = qhub_json_string_end(start, d->scanner.end);
  size_t length = (size_t)(end - start);
  if (memchr(start, '\\', length) == NULL) {
    lua_pushlstring(d->L, start, length);
  } else {
    push_unescaped(d->L, start, end);
  }
  d->cursor = end + 1;
}

/* ---- the walk ---------------------------------------------------------------------------- */

/* cJSON has returned another tree than the text describes. The text is valid, so this is no fault
** of the caller's. */
static _Noreturn void raise_parser(decoder *d) {
  luaL_error(d->L, "JSON: cJSON %s could not parse a valid text", cJSON_Version());
  __builtin_unreachable(); /* luaL_error is not declared as what it is */
}

/* The text is valid, so lack of memory is all that keeps cJSON from returning a tree. */
static _Noreturn void raise_memory(decoder *d) {
  lua_pushliteral(d->L, "not enough memory");
  lua_error(d->L);
  __builtin_unreachable();
}

static int count_items(const cJSON *first) {
  int count = 0;
  for (; first != NULL && count < INT_MAX; first = first->next) count++;
  return count;
}

static void push_value(decoder *d, const cJSON *node);

/* Appends the list of items to the array on top of the stack.  [-0, +0] */
static void add_items(decoder *d, const cJSON *item, size_t *taken) {
  for (; item != NULL; item = item->next) {
    push_value(d, item);
    lua_rawseti(d->L, -2, (lua_Integer)++*taken);
  }
}

/* Sets the list of members in the table on top of the stack.  [-0, +0] */
static void add_members(decoder *d, const cJSON *member) {
  for (; member != NULL; member = member->next) {
    skip_to_token(d);
    push_string(d);
    push_value(d, member);
    lua_rawset(d->L, -3);
  }
}

/* Pushes an empty table of the right kind.  [-0, +1] */
static void push_table(decoder *d, bool is_object, int items) {
  if (is_object) {
    lua_createtable(d->L, 0, items);
  } else {
    lua_createtable(d->L, items, 0);
    lua_pushvalue(d->L, lua_upvalueindex(QHUB_JSON_ARRAY_MARK));
    lua_setmetatable(d->L, -2);
  }
}

/* The cursor is at the opening bracket.  [-0, +1] */
static void push_container(decoder *d, const cJSON *node) {
  bool is_object = *d->cursor++ == '{';
  luaL_checkstack(d->L, 10, "not enough memory for nested JSON");
  push_table(d, is_object, count_items(node->child));
  if (is_object) {
    add_members(d, node->child);
  } else {
    size_t taken = 0;
    add_items(d, node->child, &taken);
  }
  skip_to_token(d);
  if (*d->cursor++ != (is_object ? '}' : ']')) raise_parser(d);
}

/* The value that the cursor comes to next.  [-0, +1] */
static void push_value(decoder *d, const cJSON *node) {
  skip_to_token(d);
  switch (*d->cursor) {
    case '"':
      push_string(d);
      break;
    case '{':
    case '[':
      push_container(d, node);
      break;
    case 't':
      lua_pushboolean(d->L, 1);
      d->cursor += sizeof "true" - 1;
      break;
    case 'f':
      lua_pushboolean(d->L, 0);
      d->cursor += sizeof "false" - 1;
      break;
    case 'n':
      lua_pushlightuserdata(d->L, NULL);
      d->cursor += sizeof "null" - 1;
      break;
    default:
      push_number(d);
  }
}

/* ---- slices ------------------------------------------------------------------------------ */

/* Makes room for a slice of `length` bytes, two brackets and a NUL. */
static char *reserve_slice(decoder *d, size_t length) {
  decode_box *box = d->box;
  size_t needed = length + 3;
  if (needed > box->capacity) {
    free(box->slice);
    box->capacity = 0;
    box->slice = malloc(needed);
    if (box->slice == NULL) raise_memory(d);
    box->capacity = needed;
  }
  return box->slice;
}

/* Gives cJSON the text from `from` to `end`, between brackets of their kind when these are items of
** a container (`around`). The box owns the tree. */
static const cJSON *parse(decoder *d, const char *from, const char *end,
                          const qhub_json_level *around) {
  char *slice = reserve_slice(d, (size_t)(end - from));
  char *next = slice;
  if (around != NULL) *next++ = around->is_object ? '{' : '[';
  next = qhub_json_copy_without_numbers(from, end, next);
  if (around != NULL) *next++ = around->is_object ? '}' : ']';
  *next = '\0';
  const char *parsed = NULL;
  d->box->tree = cJSON_ParseWithLengthOpts(slice, (size_t)(next - slice) + 1, &parsed, 1);
  if (d->box->tree == NULL) raise_memory(d);
  if (parsed != next) raise_parser(d);
  return d->box->tree;
}

/* The whole text in one piece.  [-0, +1] */
static void push_whole(decoder *d) {
  const cJSON *tree = parse(d, d->scanner.text, d->scanner.end, NULL);
  d->cursor = d->scanner.text;
  push_value(d, tree);
  drop_tree(d->box);
}

/* Adds the items between the mark and `end` to the watched container, whose table is on top of the
** stack, and moves the mark behind them.  [-0, +0] */
static void take_items(decoder *d, const char *end) {
  qhub_json_scanner *scanner = &d->scanner;
  qhub_json_level *level = &scanner->levels[scanner->watched];
  d->cursor = scanner->mark;
  scanner->mark = end;
  skip_to_token(d);
  if (d->cursor >= end) return;
  const cJSON *tree = parse(d, d->cursor, end, level);
  if (level->is_object) {
    add_members(d, tree->child);
  } else {
    add_items(d, tree->child, &level->taken);
  }
  drop_tree(d->box);
}

/* Opens the unfinished item of the watched container, or the outermost container, and watches that.
** [-0, +1 or +2: its table, below it its name when it is a member] */
static void open_item(decoder *d) {
  qhub_json_scanner *scanner = &d->scanner;
  luaL_checkstack(d->L, 10, "not enough memory for nested JSON");
  if (scanner->watched > 0 && scanner->levels[scanner->watched].is_object) {
    d->cursor = scanner->mark;
    skip_to_token(d);
    push_string(d);
  }
  scanner->watched++;
  push_table(d, scanner->levels[scanner->watched].is_object, 0);
  scanner->mark = scanner->levels[scanner->watched].open + 1;
}

/* The scanner has gone a slice beyond the mark and stands behind a comma: takes what is complete,
** from the watched container inwards, until less than a slice is left. That is so in the innermost
** one at the latest, for its last comma is the one before the scanner. */
static void take_slices(decoder *d) {
  qhub_json_scanner *scanner = &d->scanner;
  for (;;) {
    if (scanner->watched > 0) {
      const char *comma = scanner->levels[scanner->watched].comma;
      if (comma != NULL) take_items(d, comma);
    }
    if ((size_t)(scanner->position - scanner->mark) <= scanner->window) return;
    open_item(d);
  }
}

/* The watched container has been closed: takes the rest and puts it into the one around it.
** [-1 or -2, +0; -0, +0 when it is the outermost one] */
static void close_item(decoder *d) {
  qhub_json_scanner *scanner = &d->scanner;
  take_items(d, scanner->position - 1);
  scanner->mark = scanner->position;
  scanner->watched--;
  if (scanner->watched == 0) return;
  qhub_json_level *around = &scanner->levels[scanner->watched];
  if (around->is_object) {
    lua_rawset(d->L, -3);
  } else {
    lua_rawseti(d->L, -2, (lua_Integer)++around->taken);
  }
}

/* ---- failure ----------------------------------------------------------------------------- */

/* Describes the byte or character where the text goes wrong.  [-0, +1] */
static void push_found(lua_State *L, const qhub_json_scanner *scanner) {
  const char *position = scanner->position;
  size_t sequence = qhub_utf8_sequence(position, (size_t)(scanner->end - position));
  if (position == scanner->end) {
    lua_pushliteral(L, "the end of the text");
  } else if (sequence == 0 || (unsigned char)*position < 0x20 || *position == 0x7F) {
    char digits[3];
    static const char hex[] = "0123456789ABCDEF";
    digits[0] = hex[(unsigned char)*position >> 4];
    digits[1] = hex[(unsigned char)*position & 15];
    digits[2] = '\0';
    lua_pushfstring(L, "byte 0x%s", digits);
  } else {
    lua_pushliteral(L, "'");
    lua_pushlstring(L, position, sequence);
    lua_pushliteral(L, "'");
    lua_concat(L, 3);
  }
}

/* [-0, +4] nil, message, line, column */
static int push_failure(lua_State *L, const qhub_json_scanner *scanner) {
  size_t line, column;
  qhub_json_scan_where(scanner, &line, &column);
  lua_pushnil(L);
  if (scanner->unexpected) {
    push_found(L, scanner);
    lua_pushfstring(L, "expected %s, found %s", scanner->problem, lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushstring(L, scanner->problem);
  }
  lua_pushinteger(L, (lua_Integer)line);
  lua_pushinteger(L, (lua_Integer)column);
  return 4;
}

int qhub_json_decode(lua_State *L) {
  decoder d;
  size_t length;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &length);
  lua_settop(L, 1);
  d.L = L;
  d.box = lua_newuserdatauv(L, sizeof *d.box, 0);
  *d.box = (decode_box){NULL, NULL, 0};
  lua_pushvalue(L, lua_upvalueindex(QHUB_JSON_BOX));
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  qhub_json_scan_begin(&d.scanner, text, length, SLICE_SIZE);
  for (;;) {
    switch (qhub_json_scan(&d.scanner)) {
      case QHUB_JSON_LARGE: take_slices(&d); break;
      case QHUB_JSON_CLOSED: close_item(&d); break;
      case QHUB_JSON_ERROR: return push_failure(L, &d.scanner);
      case QHUB_JSON_END:
        if (d.scanner.mark == text) push_whole(&d);
        return 1;
    }
  }
}

/* Lua may lack the memory to call __close; then the collector comes by later. */
static const luaL_Reg box_metamethods[] = {
  {"__close", close_box},
  {"__gc", close_box},
  {NULL, NULL},
};

void qhub_json_push_decode_box(lua_State *L) {
  luaL_newlib(L, box_metamethods);
}
