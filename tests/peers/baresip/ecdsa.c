/* Another kind of certificate for baresip's DTLS-SRTP, ahead of it by LD_PRELOAD.
 *
 * Debian's baresip makes itself an RSA certificate, and our handshakes know ECDSA only (RFC 8827, 6.5 makes
 * P-256 the one that all must have). Where libre would make the RSA certificate this gives it one that the test
 * has made: P-256, with its key, PEM, in the file that BARESIP_ECDSA_IDENTITY names. That is all it changes:
 * handshake, fingerprints, description of the session and SRTP remain baresip's, libre's and OpenSSL's own.
 */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct tls;

/* libre's own: without a key of its own the certificate's file has it. */
int tls_set_certificate_pem(struct tls *tls, char const *cert, size_t len_cert, char const *key, size_t len_key);
int tls_set_selfsigned_rsa(struct tls *tls, char const *cn, size_t bits);

/* In place of libre's. */
int tls_set_selfsigned_rsa(struct tls *tls, char const *cn, size_t bits) {
    (void)cn;
    (void)bits;
    char const *path = getenv("BARESIP_ECDSA_IDENTITY");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file)
        return ENOENT;
    char pem[8192];
    size_t length = fread(pem, 1, sizeof pem, file);
    fclose(file);
    return tls_set_certificate_pem(tls, pem, length, NULL, 0);
}
