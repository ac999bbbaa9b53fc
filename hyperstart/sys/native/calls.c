/*
 * Raw system calls as TypeScript asks for them, on x86-64. Without libc: a child that shares our memory
 * would share its errno.
 */
#include "native.h"

#include <errno.h>
#include <string.h>

int64_t system_call(int64_t number, const int64_t arguments[6]) {
  int64_t result;
  register int64_t fourth __asm__("r10") = arguments[3];
  register int64_t fifth __asm__("r8") = arguments[4];
  register int64_t sixth __asm__("r9") = arguments[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]),
                     "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
  return result;
}

/* Makes an argument; a `string` must be freed after the call. Returns 0 or -errno. */
static int convert(JSValueConst value, int64_t *argument, const char **string) {
  size_t size;
  if (JS_IsNumber(value)) {
    JS_ToInt64(js, argument, value);
  } else if (JS_IsString(value)) {
    *string = JS_ToCStringLen(js, &size, value);
    *argument = (intptr_t)*string;
    /* A NUL inside would make the kernel see another path than TypeScript has checked. */
    return *string != NULL && strlen(*string) == size ? 0 : -EINVAL;
  } else if (!JS_IsNull(value)) {
    *argument = (intptr_t)JS_GetArrayBuffer(js, &size, value);
    return *argument == 0 ? -EFAULT : 0;
  }
  return 0;
}

/* call(number, …): the result, or -errno as the kernel gives it. */
NATIVE(native_call) {
  if (!has_begun)
    return JS_ThrowTypeError(context, "a system call while the program is being loaded");
  int64_t arguments[6] = {0};
  const char *strings[6] = {0};
  int64_t result = argc <= 7 ? 0 : -E2BIG;
  for (int i = 1; i < argc && result == 0; i++)
    result = convert(argv[i], &arguments[i - 1], &strings[i - 1]);
  if (result == 0)
    result = system_call(integer(argv[0]), arguments);
  for (size_t i = 0; i < COUNT(strings); i++)
    JS_FreeCString(context, strings[i]);
  return JS_HasException(context) ? JS_EXCEPTION : JS_NewInt64(context, result);
}
