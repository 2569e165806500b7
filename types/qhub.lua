---@meta qhub

-- The types of everything public in `qhub`, for lua-language-server, and the source of
-- docs/reference.md (`make docs`). Never loaded by a program. spec/promises/types_spec.lua holds it
-- against the library: a name that is missing here, or here alone, fails.
--
-- Conventions that scripts/reference.lua reads: the comment above a class, field or function is
-- its description; classes come out in the order in which they stand here; `-- # Title` begins a
-- chapter.

-- # The module

---What `require "qhub"` returns. Loading it does no I/O.
---
---Three kinds of errors, one rule each: usage errors raise at the caller's line, with nothing sent;
---the outside world returns `nil, err`; iterators raise that same `err`.
---@class qhub
---@field _VERSION string the version of the library, `MAJOR.MINOR.PATCH`
---@field HubServiceClientEnvironment qhub.HubServiceClientEnvironment the reference SDK's template URL
---@field ServiceExecutionStatus qhub.ServiceExecutionStatus statuses of an execution
---@field ServiceExecutionType qhub.ServiceExecutionType types of an execution
---@field LogEntrySeverity qhub.LogEntrySeverity severities of a log entry
---@field credentials qhub.credentials where a token comes from, other than a string that the program has
---@field json qhub.json lossless JSON
---@field progress qhub.progress one line of progress on a terminal
---@field tasks qhub.tasks many executions from one thread
local qhub = {}

---Builds a client for one deployed service. Does no I/O. Raises for a missing `token` or
---`base_url` and for every invalid option.
---@param options qhub.ClientOptions
---@return qhub.HubServiceClient client
function qhub.HubServiceClient(options) end

---True for the error objects of this library.
---@param value any
---@return boolean
function qhub.is_error(value) end

---A reference to a data pool, to be used as a member of the body of a start. Nothing is sent.
---@param id string
---@param options? qhub.DataPoolOptions
---@return table reference `{ id =, ref = "DATAPOOL", grant = }`
function qhub.data_pool(id, options) end

---The names of the files of a result in hand: the relations of `_links` except `self` and `status`.
---Nothing is sent.
---@param result any what `get_result` or `run` returned
---@return string[] names sorted
function qhub.result_files(result) end

---Reads a timestamp in either form that the gateway uses (`2026-02-27 10:04:50`, ISO 8601).
---@param text string UTC where it names no zone
---@return number? seconds seconds since the epoch; nil when it is not a timestamp
---@return string? message what is wrong with it
function qhub.parse_timestamp(text) end

---@class qhub.DataPoolOptions
---@field grant? string permission to use a pool of somebody else: a token, secret like the client's

-- # The client

---The options of `qhub.HubServiceClient`. `token`, and `base_url` or `environment`, are required.
---@class qhub.ClientOptions
---@field token string|qhub.TokenFunction the bearer token, or a function that returns one
---@field base_url? string the concrete gateway URL of the service, with or without a trailing slash; wins over `environment`
---@field environment? string a URL too; `HubServiceClientEnvironment.DEFAULT` is a template and refused as it stands
---@field parent_execution_token? string|false sent as `X-Parent-Execution-Token`; false sends none; default: the environment variable `KQH_SERVICE_EXECUTION_TOKEN`
---@field headers? table<string, string|number|false> sent with every request; `false` removes a header; default `{}`
---@field timeout? number seconds without progress: to connect, then between bytes; not a total; default 60
---@field total_timeout? number seconds for a whole call, attempts and waits and all; for a file, until its first byte; default none
---@field max_retries? integer extra attempts for failures that may pass; 0 disables; default 2
---@field follow_redirects? boolean at most 20 hops; credentials never leave the origin; default true
---@field logging? qhub.LoggingOptions silent by default
---@field http? qhub.HttpOptions settings of the built-in HTTP engine
---@field transport? qhub.Transport a test double or another HTTP stack in place of libcurl
---@field max_response_bytes? integer cap on a JSON or error body, counted after decompression; default 64 MiB
---@field on_response? fun(response: qhub.Response) called once per call that got a response of any status

---Called for every attempt, in ordinary Lua: it may yield, raise or use qhub itself. After a 401
---it is called once more with the rejected token; a different one is tried once. `nil, reason`
---becomes an error of kind `token`.
---@alias qhub.TokenFunction fun(rejected: string?): string?, string?

---Settings of the built-in HTTP engine.
---@class qhub.HttpOptions
---@field proxy? string|false a proxy's URL; false for none; default: the usual environment variables
---@field ca_file? string a PEM file of certificate authorities to trust; default: the system's
---@field ca_path? string a folder of them
---@field verify? boolean false trusts any server: for tests only; default true
---@field client_cert? string a PEM file with the client's certificate
---@field client_key? string a PEM file with its key
---@field http_version? "1.1"|"2" default: HTTP/2 over TLS where the server offers it, except for starts and files
---@field connect_timeout? number seconds to connect; default: 15, or `timeout` if that is less
---@field max_connections? integer at most so many connections at once; default 64

---Giving `level` or `logger` turns logging on. One event per attempt, retry and outcome.
---@class qhub.LoggingOptions
---@field level? "debug"|"info"|"warn"|"error" the least level that is logged; default "info"
---@field logger? fun(level: string, message: string, fields: qhub.LogFields) default: a line on stderr
---@field silent? boolean true turns it off again

---What a logger receives. Tokens, cookies and other secrets are blanked before it is called.
---@class qhub.LogFields
---@field method string
---@field url string
---@field status? integer
---@field attempt? integer counts from 1
---@field seconds? number
---@field delay? number seconds until the next attempt
---@field error? string
---@field headers? table<string, string> of the response, at level "debug"

---Takes a request and returns a response, or `nil, message`, which counts as a broken connection
---that may have delivered the request. Retries, redirects, decoding and logging happen above it.
---It may yield.
---@alias qhub.Transport fun(request: qhub.TransportRequest): qhub.TransportAnswer?, string?

---@class qhub.TransportRequest
---@field method string
---@field url string
---@field headers table<string, string> lower-case names
---@field body? string
---@field timeout number seconds without progress

---@class qhub.TransportAnswer
---@field status_code integer
---@field headers? table<string, string|string[]> names in any case
---@field body? string|fun(): string? a function returns chunks and then nil; `nil, message` when it breaks off

---What `on_response` gets.
---@class qhub.Response
---@field status_code integer
---@field headers qhub.Headers
---@field method string
---@field url string the address that answered, after redirects
---@field attempts integer
---@field seconds number

---Header fields by lower-case name; the lookup ignores case.
---@class qhub.Headers
---@field [string] string

---A client of one deployed service. It may be closed by `local service <close> = …`.
---@class qhub.HubServiceClient
---@field service_api qhub.HubServiceClient the client itself, for code written after the reference documentation
local HubServiceClient = {}

---Lists the executions that were started through this gateway.
---@param options? qhub.RequestOptions
---@return qhub.Execution[]? executions an array table
---@return qhub.Error? err
function HubServiceClient:get_service_executions(options) end

---Starts an execution. The body goes out as it is; the gateway reserves `input` and
---`inputDataRefs`. Repeated after a 408, 429 or 5xx and when it was certainly not sent, but
---never after a connection broke with the request under way: that could start, and bill, a second
---run. For the same reason it goes over HTTP/1.1: a server that ends an HTTP/2 connection does not
---say which requests ran.
---@param body table encodes to a JSON object
---@param options? qhub.StartOptions
---@return qhub.Execution? execution
---@return qhub.Error? err
function HubServiceClient:start_execution(body, options) end

---A snapshot of one execution.
---@param id string
---@param options? qhub.RequestOptions
---@return qhub.Execution? execution
---@return qhub.Error? err
function HubServiceClient:get_status(id, options) end

---The result. Asks once; `execution:result` waits for one that trails SUCCEEDED.
---@param id string
---@param options? qhub.RequestOptions
---@return qhub.Result? result
---@return qhub.Error? err
function HubServiceClient:get_result(id, options) end

---Opens a result file; returns when its headers are in. The further values make it an iterator
---over chunks: `for chunk in assert(service:get_result_file(id, name)) do … end`.
---@param id string
---@param file string name of the file
---@param options? qhub.FileOptions
---@return qhub.File? file callable: the next chunk, nil at the end; raises the error
---@return qhub.Error? err
---@return nil
---@return qhub.File? closing what `for` closes when the loop is left
function HubServiceClient:get_result_file(id, file, options) end

---The log entries so far, oldest first; `{}` when there are none.
---@param id string
---@param options? qhub.RequestOptions
---@return qhub.LogEntry[]? entries
---@return qhub.Error? err
function HubServiceClient:get_logs(id, options) end

---Asks for the cancellation of a pending or running execution.
---@param id string
---@param options? qhub.RequestOptions
---@return true? ok
---@return qhub.Error? err
function HubServiceClient:cancel_execution(id, options) end

---An execution known only by its id. Nothing is sent.
---@param id string
---@return qhub.Execution execution
function HubServiceClient:execution(id) end

---Starts, waits and fetches the result. FAILED and CANCELLED are an error of kind `execution`;
---every error after the start carries `err.execution`.
---@param body table as for `start_execution`
---@param options? qhub.RunOptions
---@return qhub.Result? result
---@return qhub.Error? err
function HubServiceClient:run(body, options) end

---Waits until all are terminal, at the cost of about one request per poll.
---@param executions qhub.Execution[] of this client
---@param options? qhub.WaitOptions
---@return qhub.Execution[]? executions the same list, updated in place
---@return qhub.Error? err with `pending`
function HubServiceClient:wait_all(executions, options) end

---Frees the connections. Calls and files under way end with an error of kind `cancelled`; later
---calls raise. Idempotent.
---@return true
function HubServiceClient:close() end

-- # Options of a call

---What every operation takes as its last argument.
---@class qhub.RequestOptions
---@field timeout? number seconds without progress; default: the client's
---@field total_timeout? number seconds for the whole call; default: the client's
---@field max_retries? integer default: the client's
---@field headers? table<string, string|number|false> win over the client's, and over the token
---@field query? table<string, string|number|boolean|(string|number|boolean)[]>
---@field on_response? fun(response: qhub.Response) replaces the client's

---@class qhub.StartOptions : qhub.RequestOptions
---@field body? table members that are merged over the body
---@field tags? string[] tags of the run: sent as the member `$tags` of the body
---@field secrets? table<string, string> given to the run as environment variables: sent as the member `$secrets` of the body, and redacted in all texts
---@field idempotent? boolean true: the service copes with a second copy, so repeat it like any other request

---@class qhub.FileOptions : qhub.RequestOptions
---@field chunk_size? integer largest chunk in bytes; default 65536

---@class qhub.SaveOptions
---@field overwrite? boolean false: an existing target is an error of kind `file`; default true
---@field resume? boolean true: keep what came before a failure, and continue from there; default false
---@field progress? qhub.progress|fun(received: integer, size: integer?)

---@class qhub.DownloadOptions : qhub.FileOptions, qhub.SaveOptions

---@class qhub.FollowOptions
---@field interval? number|fun(poll: integer): number seconds between polls, which start faster and settle to it; 0: none; default 2
---@field timeout? number seconds for the whole wait; the run continues; default none
---@field request? qhub.RequestOptions for each poll

---@class qhub.WaitOptions : qhub.FollowOptions
---@field on_status? fun(execution: qhub.Execution) called at the first status and at each change
---@field progress? qhub.progress|fun(execution: qhub.Execution)

---@class qhub.RunOptions : qhub.WaitOptions
---@field start? qhub.StartOptions for the start

-- # What calls return

---One run of a service: read-only userdata. A field that the gateway did not send, or sent as
---null, is nil. `tostring` shows id and status, `==` compares ids, `pairs` walks the fields
---present, `qhub.json.encode` gives `raw`.
---@class qhub.Execution
---@field id string
---@field created_at? string as the gateway sent it; see `qhub.parse_timestamp`
---@field started_at? string
---@field ended_at? string
---@field status? qhub.ServiceExecutionStatus|string values that the gateway adds pass through
---@field type? qhub.ServiceExecutionType|string
---@field service_id? string
---@field service_definition_id? string
---@field application_id? string
---@field tags? string[]
---@field raw table the decoded response, with every member that the gateway sent
local Execution = {}

---Fetches the status and updates in place.
---@param options? qhub.RequestOptions
---@return qhub.Execution? execution itself
---@return qhub.Error? err
function Execution:refresh(options) end

---True for SUCCEEDED, FAILED and CANCELLED; not for UNKNOWN. Sends nothing.
---@return boolean
function Execution:is_terminal() end

---Polls until terminal. Failures that may pass are ridden out until `timeout`.
---@param options? qhub.WaitOptions
---@return qhub.Execution? execution itself, for any terminal status
---@return qhub.Error? err kind `timeout`, phase `wait`, when `timeout` passed; the run continues
function Execution:wait(options) end

---The result; one that trails SUCCEEDED is waited for (1, 2, 4, 8 s).
---@param options? qhub.RequestOptions
---@return qhub.Result? result
---@return qhub.Error? err
function Execution:result(options) end

---The names of the result files: the relations of `_links` but `self` and `status`, sorted.
---@param options? qhub.RequestOptions
---@return string[]? names
---@return qhub.Error? err
function Execution:result_files(options) end

---`get_result_file` of this execution.
---@param name string
---@param options? qhub.FileOptions
---@return qhub.File? file callable: the next chunk, nil at the end; raises the error
---@return qhub.Error? err
---@return nil
---@return qhub.File? closing what `for` closes when the loop is left
function Execution:result_file(name, options) end

---Saves a file, whole or not at all: it is written next to the target and renamed when complete.
---Resumed after a broken connection.
---@param name string name of the file
---@param path string where to; in a folder it gets a safe form of its name
---@param options? qhub.DownloadOptions
---@return string? path
---@return qhub.Error? err kind `file` for what went wrong on this machine
function Execution:download(name, path, options) end

---The log entries so far, oldest first.
---@param options? qhub.RequestOptions
---@return qhub.LogEntry[]? entries
---@return qhub.Error? err
function Execution:logs(options) end

---An iterator over the log entries as they appear, each once, until the execution is terminal:
---`for entry in assert(execution:follow_logs()) do … end`.
---@param options? qhub.FollowOptions
---@return (fun(): qhub.LogEntry?)? iterator raises the error
---@return qhub.Error? err when the first poll fails
---@return nil
---@return table? closing what `for` closes when the loop is left
function Execution:follow_logs(options) end

---Asks for the cancellation of the run.
---@param options? qhub.RequestOptions
---@return true? ok
---@return qhub.Error? err
function Execution:cancel(options) end

---The result: a plain table with the wire's names. All further members are the service's own
---output.
---@class qhub.Result
---@field _embedded? qhub.ResultEmbedded
---@field _links? table<string, qhub.HalLink|qhub.HalLink[]> `self`, `status`, and a relation for each result file
---@field embedded? qhub.ResultEmbedded alias of `_embedded`; never encoded
---@field links? table<string, qhub.HalLink|qhub.HalLink[]> alias of `_links`; never encoded
---@field [string] any

---@class qhub.ResultEmbedded
---@field status? qhub.Execution

---@class qhub.HalLink
---@field href string
---@field templated? boolean
---@field type? string
---@field deprecation? string
---@field name? string
---@field profile? string
---@field title? string
---@field hreflang? string

---A result file that is being read: userdata, and an iterator when it is called. Memory stays
---constant for any size, a consumer that pauses stops the network, and a broken connection is
---resumed where the server can prove that the file is still the same.
---@class qhub.File
---@field name string
---@field size? integer bytes, when known
---@field content_type? string
---@field headers qhub.Headers
---@field received integer bytes handed out so far
---@overload fun(): string?
local File = {}

---The next chunk.
---@param n? integer at most so many bytes; default: `chunk_size`
---@return string? chunk nil at the end
---@return qhub.Error? err nil at the end
function File:read(n) end

---Everything that is left.
---@return string? bytes
---@return qhub.Error? err
function File:read_all() end

---Saves a file of which nothing was read yet, as `execution:download` does, and closes it.
---@param path string
---@param options? qhub.SaveOptions
---@return string? path
---@return qhub.Error? err
function File:save(path, options) end

---Ends the transfer. Idempotent.
---@return true
function File:close() end

---@class qhub.LogEntry
---@field message string
---@field severity? qhub.LogEntrySeverity|string
---@field timestamp? string see `qhub.parse_timestamp`

-- # Errors

---What the outside world did wrong. `tostring` is one line without secrets; `..` works; `assert`
---and `error` keep it an object. The fields that do not apply are nil.
---@class qhub.Error
---@field kind qhub.ErrorKind
---@field message string for people; programs use the other fields
---@field status_code? integer of the response, if there was one
---@field headers? qhub.Headers of the response
---@field body? any decoded JSON, else text; cut at `max_response_bytes`
---@field method? string
---@field url? string
---@field attempts? integer how often it was tried
---@field sent? boolean false when the request was certainly not sent
---@field phase? qhub.TimeoutPhase of kind `timeout`
---@field retry_after? number seconds that the gateway asked to wait
---@field request_id? string X-Request-Id, Request-Id or X-Correlation-Id
---@field execution? qhub.Execution of `wait`, `wait_all`, `run` and `follow_logs`
---@field result? qhub.Result of kind `execution`, as far as it is available
---@field logs? qhub.LogEntry[] of kind `execution`, as far as they are available
---@field pending? qhub.Execution[] of `wait_all`: those that are not finished
---@field where? string `file.lua:12`, the line of the program that made the call
---@field cause? qhub.Error what led to it: the last failed poll of a wait, or the 401 after which a token function gave no other token
---@field line? integer of kind `decode`: where the JSON broke
---@field column? integer of kind `decode`
---@field path? string of kind `file`
---@field errno? string|integer of kind `file`: the system's code
local Error = {}

---@alias qhub.ErrorKind
---| "api" # a response outside 2xx, also with an empty or broken body
---| "timeout" # `phase` says which
---| "network" # DNS, connect, TLS, reset, truncated
---| "decode" # a 2xx response that is not the expected JSON; not retried
---| "token" # the token function returned no usable token
---| "execution" # `run` met FAILED or CANCELLED
---| "file" # a local file could not be written
---| "cancelled" # closed or cancelled while under way

---@alias qhub.TimeoutPhase
---| "connect" # no connection within `connect_timeout`
---| "read" # no progress within `timeout`
---| "total" # `total_timeout` passed
---| "wait" # the `timeout` of a wait passed; the run continues

-- # JSON

---Lossless and strict: 64-bit integers and doubles are exact both ways, `1` and `1.0` stay apart,
---`[]` and `{}` survive, every string round-trips.
---@class qhub.json
---@field null userdata JSON's null: the NULL light userdata, equal to `cjson.null`
local json = {}

---@class qhub.EncodeOptions
---@field indent? integer spaces for each level of a text in lines, 0 to 16 (default: one line)

---Raises for what JSON cannot hold, naming the path (`input.coefficients[3]: NaN …`). Members are
---written in the order of their names: the same table gives the same text in every run.
---@param value any
---@param options? qhub.EncodeOptions
---@return string text
function json.encode(value, options) end

---@class qhub.DecodeOptions
---@field nan? boolean accept `NaN`, `Infinity` and `-Infinity` as numbers (default: false)

---Reads one JSON text, strictly by RFC 8259. A text holds at most 16,777,216 values, of which an
---array or object counts as 4, nested up to 1000 deep.
---@param text string
---@param options? qhub.DecodeOptions
---@return any value `qhub.json.null` for null
---@return qhub.Error? err kind `decode`, with line and column
function json.decode(text, options) end

---Marks a table in place as an array, so that `{}` becomes `[]`.
---@generic T : table
---@param list T
---@return T list the same table
function json.array(list) end

---Marks a table in place as an object.
---@generic T : table
---@param members T
---@return T members the same table
function json.object(members) end

-- # Tasks

---Many executions from one thread. Inside a task every call yields instead of blocking; outside,
---and in coroutines that qhub did not make, it blocks.
---@class qhub.tasks
local tasks = {}

---Runs `fn(...)` as a task, and all that it spawns. Raises what `fn` raised, and an error of a
---task that was not joined; being cancelled does not count.
---@param fn function
---@param ... any
---@return any ... what `fn` returned, when every task has ended
function tasks.run(fn, ...) end

---Starts `fn(...)` as a task: of the `run` it is called in, or, outside `run`, of those that
---`step` moves on.
---@param fn function
---@param ... any
---@return qhub.Task task
function tasks.spawn(fn, ...) end

---Waits for all of them.
---@param list qhub.Task[]
---@return any[] results first values by index
---@return table<integer, any>? errors of those that returned `nil, err` or raised; nil when there is none
function tasks.gather(list) end

---Calls `fn(item, index)` for each item, at most `limit` at once. An error ends nothing but its own
---item. When the calling task is cancelled, what had not begun has an error of kind `cancelled`.
---@param list any[]
---@param fn function
---@param options? qhub.MapOptions
---@return any[] results first values by index
---@return table<integer, any>? errors of those that returned `nil, err` or raised; nil when there is none
function tasks.map(list, fn, options) end

---@class qhub.MapOptions
---@field limit? integer how many at once; 32
---@field progress? table|fun(done: integer, total: integer, failed: integer) `qhub.progress` shows the counts

---Sleeps while the other tasks continue. Raises an error of kind `cancelled`.
---@param seconds number
function tasks.sleep(seconds) end

---Moves the tasks on that were spawned outside `run`. Raises the error of one that failed while
---nothing waited for it; one error each time. May be called as a method.
---@param timeout? number waits at most so many seconds; nil: until something happens
---@return integer live number of tasks that have not ended
function tasks.step(timeout) end

---The descriptor to watch, or nil where the platform has none. May be called as a method.
---@return integer? descriptor
function tasks.pollfd() end

---What to watch it for, as cqueues defines it. May be called as a method.
---@return string events
function tasks.events() end

---Seconds until `step` is due even if the descriptor stays quiet. May be called as a method.
---@return number? seconds nil when no timer runs
function tasks.timeout() end

---@class qhub.Task
local Task = {}

---Waits for its end. Raises what its function raised.
---@return any ... what its function returned
function Task:join() end

---Ends what it waits for: its call returns `nil, err` of kind `cancelled`, its `sleep` raises
---that.
function Task:cancel() end

-- # Credentials

---@class qhub.credentials
local credentials = {}

---A token function: OAuth2 client credentials against the gateway's token endpoint. Cached, one
---request however many callers wait, renewed 120 s before it expires and after a 401. Failures are
---`nil, reason`, and so become errors of kind `token`.
---@param options qhub.ClientCredentialsOptions
---@return qhub.TokenFunction token
function credentials.client_credentials(options) end

---The access token of this machine, in the reference SDK's order: the given value, then the
---variables `KQH_SERVICE_EXECUTION_TOKEN`, `KQH_PERSONAL_ACCESS_TOKEN`,
---`PLANQK_SERVICE_EXECUTION_TOKEN`, `SERVICE_EXECUTION_TOKEN`, `PLANQK_PERSONAL_ACCESS_TOKEN`, then
---the file named by `KQH_CONFIG_FILE_PATH`, else by `PLANQK_CONFIG_FILE_PATH`, else
---`~/.config/qhubctl/config.json` (written by `qhubctl login`), then
---`~/.config/planqk/config.json`.
---A file that is there and broken is an error; none is skipped for an older one.
---@param options? qhub.PersonalTokenOptions
---@return string? token
---@return qhub.Error? err kind `token`; names what was searched, never a value
function credentials.default(options) end

---@class qhub.ClientCredentialsOptions
---@field access_key_id string
---@field secret_access_key string
---@field token_endpoint? string default `https://gateway.hub.kipu-quantum.com/token`
---@field timeout? number seconds without progress; default 60
---@field http? qhub.HttpOptions
---@field transport? qhub.Transport

---@class qhub.PersonalTokenOptions
---@field access_token? string wins when given

-- # Progress

---One line of progress on stderr, and nothing where that is not a terminal: `progress =
---qhub.progress`. It may also be called as the functions that may stand in its place.
---@class qhub.progress
---@overload fun(received: integer, size: integer?)
---@overload fun(execution: qhub.Execution)

-- # Enumerations
-- Each name maps to its own string.

---@enum qhub.ServiceExecutionStatus
qhub.ServiceExecutionStatus = {
  UNKNOWN = "UNKNOWN",
  PENDING = "PENDING",
  RUNNING = "RUNNING",
  SUCCEEDED = "SUCCEEDED",
  CANCELLED = "CANCELLED",
  FAILED = "FAILED",
}

---@enum qhub.ServiceExecutionType
qhub.ServiceExecutionType = {
  MANAGED = "MANAGED",
  WORKFLOW = "WORKFLOW",
}

---@enum qhub.LogEntrySeverity
qhub.LogEntrySeverity = {
  DEBUG = "DEBUG",
  NOTICE = "NOTICE",
  INFO = "INFO",
  WARNING = "WARNING",
  ERROR = "ERROR",
}

---@enum qhub.HubServiceClientEnvironment
qhub.HubServiceClientEnvironment = {
  DEFAULT = "https://gateway.hub.kipu-quantum.com/<context>/<service>/<version>",
}

return qhub
