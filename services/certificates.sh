# shellcheck shell=bash
# Certificates for the TLS listeners, made by openssl into $certs. Sourced by services/up.
#
#   ca.pem                     signed the broker's and the client's certificate
#   client.pem, client.key     what a client of the mTLS listener shows
#   other-ca.pem               an authority that signed nothing here: whoever trusts only this one must refuse the broker
#   broker.pem, broker.key     for localhost, 127.0.0.1 and ::1; broker-all.pem is both in one, as Kafka wants them

: "${state:?}" "${certs:?}"

# authority NAME makes a self-signed authority.
authority() {
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=webcheck test $1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
    -keyout "$certs/$1.key" -out "$certs/$1.pem"
}

# certificate NAME EXTENSIONS makes a certificate signed by ca; its key is PKCS#8, the form Kafka reads.
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=webcheck-test-$1" \
    -keyout "$certs/$1.key" -out "$certs/$1.csr"
  openssl x509 -req -in "$certs/$1.csr" -CA "$certs/ca.pem" -CAkey "$certs/ca.key" -CAcreateserial -days 30 \
    -extfile <(printf '%s\n' "$2") -out "$certs/$1.pem"
  rm "$certs/$1.csr"
}

# make_certificates makes all of them, unless they are there and good for another day.
make_certificates() {
  if openssl x509 -checkend 86400 -noout -in "$certs/broker.pem" >/dev/null 2>&1; then
    return
  fi
  (
    umask 077
    rm -rf "$certs"
    mkdir -p "$certs"
    authority ca
    authority other-ca
    certificate broker $'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth'
    certificate client 'extendedKeyUsage=clientAuth'
    cat "$certs/broker.key" "$certs/broker.pem" >"$certs/broker-all.pem"
  ) >"$state/certificates.log" 2>&1 || { report certificates; die "openssl could not make the certificates"; }
}
