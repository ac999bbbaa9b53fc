#!/bin/sh
# Runs the compiler command that it is given, with the headers of the prelude read from a precompiled
# header where that makes no difference: four fifths of the time goes into reading the same headers.
#
# Once include/generated/prelude-headers.h is there, the first C file that is compiled makes the
# precompiled header with its own flags. include/generated/prelude.h is what a compiler reads that finds it
# unfit, such as for another machine: the three headers that it stands for in the command.
set -eu

headers=include/generated/prelude-headers.h
prelude=include/generated/prelude.h

# Macros set ahead of an #include may be meant for the header, which has to be read after them.
sets_macros_for_headers() {
  ! awk '/^[ \t]*#[ \t]*(define|undef)/ { set = 1 } /^[ \t]*#[ \t]*include/ && set { exit 1 }' "$1"
}

# The command without what differs from file to file and without the headers of the prelude, as "$@" of a
# function: compile_headers or compile_file.
with_common_flags() {
  function=$1 left=$(($# - 1)) names=''
  shift
  while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    case $argument in
      -DKBUILD_* | -D__KBUILD_*)
        definition=${argument#-D}
        names="$names#define ${definition%%=*} ${definition#*=}
"
        ;;
      -Wp,-MMD,*) dependencies=$argument ;;
      -c) ;;
      -o)
        object=$1
        shift
        left=$((left - 1))
        ;;
      -include)
        case $1 in
          ./include/linux/compiler-version.h | ./include/linux/kconfig.h | ./include/linux/compiler_types.h)
            shift
            left=$((left - 1))
            ;;
          *) set -- "$@" "$argument" ;;
        esac
        ;;
      "$source") ;;
      *) set -- "$@" "$argument" ;;
    esac
  done
  "$function" "$@"
}

compile_headers() {
  "$@" -x c-header -o "$prelude.gch.new" "$headers"
  mv "$prelude.gch.new" "$prelude.gch"
}

# Macros of the command line would make the prelude unfit: those of the file come after it.
compile_file() {
  printf '%s' "$names" >"$object.names.h"
  "$@" "$dependencies" -include "$prelude" -include "$object.names.h" -c -o "$object" "$source"
}

for source; do :; done
case " $* " in
  *" -include ./include/linux/compiler-version.h -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h "*" -c -o "*".c ") ;;
  *) exec "$@" ;;
esac
if [ ! -e "$headers" ] || sets_macros_for_headers "$source"; then
  exec "$@"
fi
if [ ! -e "$prelude.gch" ]; then
  with_common_flags compile_headers "$@"
fi
# What the prelude does not agree with is compiled in the usual way, and errors are told by that.
with_common_flags compile_file "$@" 2>/dev/null || exec "$@"
