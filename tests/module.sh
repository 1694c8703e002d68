#!/bin/sh
# Examines the built module: its exports, its libraries, its hardening. Run by `make check` in the build directory.
set -eu

module=.libs/libpgsasl.so
failed=0

fault() {
    echo "$module: $1" >&2
    failed=1
}

exported=$(nm -D --defined-only "$module" | awk '{ print $3 }' | sort | tr '\n' ' ')
[ "$exported" = 'sasl_auxprop_plug_init sasl_server_plug_init ' ] ||
    fault "exports $exported"

dynamic=$(readelf -dW "$module")
case $dynamic in
*libsasl2*) fault 'is linked with libsasl2, whose callbacks it should use' ;;
esac
case $dynamic in
*TEXTREL*) fault 'has text relocations' ;;
esac
case $dynamic in
*BIND_NOW*) ;;
*) fault 'is not bound at load time, so RELRO is partial' ;;
esac

segments=$(readelf -lW "$module")
case $segments in
*GNU_RELRO*) ;;
*) fault 'has no RELRO segment' ;;
esac
echo "$segments" | grep -q 'GNU_STACK.* RW ' ||
    fault 'has an executable stack'

# The sanitizers add calls of their own and replace _FORTIFY_SOURCE.
if [ "${SANITIZERS:-no}" = no ]; then
    imported=$(nm -D --undefined-only "$module" | awk '{ sub(/@.*/, "", $2); print $2 }')
    for forbidden in abort exit _exit setlocale signal sigaction printf puts perror __assert_fail \
        setenv putenv unsetenv chdir umask; do
        if echo "$imported" | grep -qx "$forbidden"; then
            fault "calls $forbidden(), which a guest must not"
        fi
    done
    echo "$imported" | grep -qx __stack_chk_fail ||
        fault 'has no stack protector'
    [ "${FORTIFIED:-no}" = no ] || echo "$imported" | grep -q '_chk$' ||
        fault 'was built without _FORTIFY_SOURCE'
fi

exit "$failed"
