/* The module hyper:native: raw system calls and the few things that cannot be made of them. */
#include "native.h"

#include <sys/epoll.h>

int integer(JSValueConst value) {
  int64_t number = 0;
  JS_ToInt64(js, &number, value);
  return (int)number;
}

/* encodeText(text): UTF-8. */
NATIVE(native_encode_text) {
  size_t size;
  const char *text = JS_ToCStringLen(context, &size, argv[0]);
  if (text == NULL)
    return JS_EXCEPTION;
  JSValue bytes = JS_NewArrayBufferCopy(context, (const uint8_t *)text, size);
  JS_FreeCString(context, text);
  return bytes;
}

/* decodeText(buffer, offset, length): invalid UTF-8 is replaced. */
NATIVE(native_decode_text) {
  size_t size, offset = (uint32_t)integer(argv[1]), length = (uint32_t)integer(argv[2]);
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  if (bytes == NULL || offset > size || length > size - offset)
    return JS_ThrowRangeError(context, "decodeText: outside of the buffer");
  return JS_NewStringLen(context, (const char *)bytes + offset, length);
}

/* addressOf(buffer): for structs that hold pointers; valid while the ArrayBuffer lives. */
NATIVE(native_address_of) {
  size_t size;
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  return bytes == NULL ? JS_EXCEPTION : JS_NewInt64(context, (int64_t)(uintptr_t)bytes);
}

static JSValue on_script_event;

static void script_ready(struct watch *watch, uint32_t events) {
  call_javascript(on_script_event, JS_UNDEFINED);
}

/* listen(fd, callback): calls back while the descriptor, TypeScript's own epoll set, is readable. */
NATIVE(native_listen) {
  static struct watch script = {.ready = script_ready};
  script.fd = integer(argv[0]);
  on_script_event = JS_DupValue(context, argv[1]);
  return JS_NewInt32(context, watch_set(&script, EPOLLIN));
}

/* startedMs(): when this process began to run, in milliseconds since the kernel did. */
NATIVE(native_started_ms) {
  return JS_NewFloat64(context, (double)started.tv_sec * 1e3 + (double)started.tv_nsec / 1e6);
}

static const JSCFunctionListEntry functions[] = {
#define ENTRY(name, count, function) JS_CFUNC_DEF(#name, count, function),
    NATIVE_FUNCTIONS(ENTRY)
};

static int module_init(JSContext *context, JSModuleDef *module) {
  return JS_SetModuleExportList(context, module, functions, COUNT(functions));
}

int native_module_register(const char *name) {
  JSModuleDef *module = JS_NewCModule(js, name, module_init);
  return module == NULL ? -1 : JS_AddModuleExportList(js, module, functions, COUNT(functions));
}
