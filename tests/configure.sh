#!/bin/sh
# For each thing that is missing configure prints one line, which names the Debian package; then it stops.
#
#   tests/configure.sh DIRECTORY-OF-CONFIGURE
set -eu

source=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=0

# A pkg-config that finds no module, and a compiler that finds no crypt.h.
cat >pkg-config <<'END'
#!/bin/sh
case $1 in
--atleast-pkgconfig-version | --version) echo 1.8 ;;
*) exit 1 ;;
esac
END
chmod +x pkg-config
if PKG_CONFIG=$scratch/pkg-config ac_cv_header_crypt_h=no "$source/configure" --enable-tests >said 2>&1; then
    echo 'configure: succeeds without its libraries' >&2
    failed=1
fi
while read -r what package; do
    count=$(grep -c "^configure: WARNING: missing: .*$what.* (Debian package $package)\$" said || true)
    [ "$count" = 1 ] || {
        echo "configure: $count lines say that $what is missing, in $package" >&2
        failed=1
    }
done <<'END'
SASL libsasl2-dev
libpq libpq-dev
OpenSSL libssl-dev
libargon2 libargon2-dev
crypt_rn libcrypt-dev
cmocka libcmocka-dev
END
grep -q '^configure: error: something pgsasl needs is missing' said || {
    cat said >&2
    failed=1
}

# No pkg-config at all.
if PKG_CONFIG='' ac_cv_path_ac_pt_PKG_CONFIG='' ac_cv_path_PKG_CONFIG='' "$source/configure" >said 2>&1 ||
    ! grep -q '^configure: error: missing: pkg-config.* (Debian package pkg-config)$' said; then
    echo 'configure: does not say that pkg-config is missing' >&2
    tail -n 3 said >&2
    failed=1
fi

exit "$failed"
