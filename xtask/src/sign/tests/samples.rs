//! Keys and signatures that cosign and openssl made. Nothing else is signed with them.

/// cosign's; its password is [`PASSWORD`].
pub const COSIGN_KEY: &str = "\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n\
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6\n\
OCwicCI6MX0sInNhbHQiOiJWOEwwL3ZLa2xTTU80emVCOXp2WXNIdmphRFAxaS8v\n\
OTBoWnJaOXlZZW5VPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94\n\
Iiwibm9uY2UiOiJOVEhZdjU5QWRwckR6NzY3ejl3Z3oxTDZISnk5QlpaTCJ9LCJj\n\
aXBoZXJ0ZXh0IjoiaUV6OVFXSWtlWm43bmwrSGFrb2ZLTmx1aGRObHlIN2ZWSi9I\n\
TFRPRGsvRlRmVENGL0tjK05FWHN3TkU4bnY5TmNwZjZmb0tZZm1NRWt1S2FaeXB3\n\
LzBZRHNJTVZkL0dHTUdyMG9tTE1wNkpzd1h0MVVxRTdxV3JFZUhiOFdva0ZWQVBE\n\
anY4aXM3SGg5WHNOQTJzVUdoQW9wMGNjYi8rbUVPVGZrT2lzVlZvN2pCcFY4a25D\n\
STllaXBPZEcyeDdOTXhyUDlUeFl3cDNnV1E9PSJ9\n\
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
pub const PASSWORD: &str = "correct horse";
/// The public key of [`COSIGN_KEY`].
pub const COSIGN_PUB: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmbg+MzPTFyBg39YrtN838ff6cN0t\n\
vbGzo6Bc6F4svviQKYrT9vIUXFfuOa1qvDv/ayoB7WOb9kyG/WpeojzUTQ==\n\
-----END PUBLIC KEY-----\n";
/// What `cosign sign-blob` writes of the file `abc`.
pub const COSIGN_BUNDLE: &str = "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"\
     ,\"verificationMaterial\":{\"publicKey\":{\"hint\":\"MldYFSjh/lwxnYhVCxwumd3KqPHX3f53eVjrwUiK1Rw=\"}}\
     ,\"messageSignature\":{\"messageDigest\":{\"algorithm\":\"SHA2_256\"\
     ,\"digest\":\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"}\
     ,\"signature\":\"MEQCIBnUKJ+1KyFNciI6TNk3pkqXO768n6StyXDsUskqZuLCAiBsSPc4L2h/fhR1aRoZNqJDQ1BVcJkCTifU3xwwdssBLg==\"}}";
/// openssl's, in three forms.
pub const SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIDiWUZG12IpxpEp9xv2ByiIBGXbTFCpb+l471jQh9hAqoAoGCCqGSM49\n\
AwEHoUQDQgAEC/DotjBWbQ8V9ZDGq/bmsgOfIpYFJdR73bBSYQBx9dCmpLUkEzgj\n\
KJOSbfziz7JpRlra3HZx1QUXoi5Naxnehg==\n\
-----END EC PRIVATE KEY-----\n";
/// Another one, after its curve.
pub const SEC1_WITH_CURVE: &str = "\
-----BEGIN EC PARAMETERS-----\n\
BggqhkjOPQMBBw==\n\
-----END EC PARAMETERS-----\n\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIOKa5Qjv+KPney2bgGrNw7NyyVY/cYaclN36i7RKR/4MoAoGCCqGSM49\n\
AwEHoUQDQgAENJcvx3wGSHZrRbsEG6ZSx0H3+99tZQk5RlXY1yl1OzMUeiksj7c2\n\
2WBPxFxMGl3hQO8xTHBxYUELaftxG3Jgew==\n\
-----END EC PRIVATE KEY-----\n";
/// The same key as [`SEC1`].
pub const PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOJZRkbXYinGkSn3G\n\
/YHKIgEZdtMUKlv6XjvWNCH2ECqhRANCAAQL8Oi2MFZtDxX1kMar9uayA58ilgUl\n\
1HvdsFJhAHH10KaktSQTOCMok5Jt/OLPsmlGWtrcdnHVBReiLk1rGd6G\n\
-----END PRIVATE KEY-----\n";
/// The public key of [`SEC1`].
pub const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC/DotjBWbQ8V9ZDGq/bmsgOfIpYF\n\
JdR73bBSYQBx9dCmpLUkEzgjKJOSbfziz7JpRlra3HZx1QUXoi5Naxnehg==\n\
-----END PUBLIC KEY-----\n";
/// Signatures of `abc` by [`SEC1`], with a high S and with the low one.
pub const HIGH_S: &str = "MEUCICmQtp3u+YZUt//bWTvKJV7/dOTuHg65VhxWXR/eGjKBAiEA8vE5lm4vtf/421OhE0E4Tw5YhhKlA9eMnnC7CNrGkyY=";
pub const LOW_S: &str = "MEQCICmQtp3u+YZUt//bWTvKJV7/dOTuHg65VhxWXR/eGjKBAiANDsZokdBKAQckrF7svsewro50mwITxvhVSQ+6IZySKw==";
/// Keys of other curves and algorithms.
pub const P384_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEwpiRRns5E/CY9qaezZo6LeETAAnGn0YP\n\
DbIkvPoVyhyhbLtOQFdrnsofOhRj0EOjGI5ex5isZ44OX/75QQIyakP9na6QGrpx\n\
/PdtgGvqfLWzRZh5rYeukXpnn27u0WXf\n\
-----END PUBLIC KEY-----\n";
pub const P384: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDC/7CrqKKwaN91mRL5y\n\
UUWLwJe15aE+LdSPlnzlWbMs4u1EflIk4hAaxfHhGZiRYnWhZANiAATCmJFGezkT\n\
8Jj2pp7Nmjot4RMACcafRg8NsiS8+hXKHKFsu05AV2ueyh86FGPQQ6MYjl7HmKxn\n\
jg5f/vlBAjJqQ/2drpAaunH8922Aa+p8tbNFmHmth66Remefbu7RZd8=\n\
-----END PRIVATE KEY-----\n";
pub const K256_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAELbZRg/RJOfiCfCysYbQd5aBi2aCsB51u\n\
I/Zf90DeudrzMidLp3CAqvD+gb58xX9ieGx4YZ4wy+sjsWzZG5iyhw==\n\
-----END PUBLIC KEY-----\n";
pub const K256: &str = "\
-----BEGIN EC PRIVATE KEY-----\n\
MHQCAQEEICfVVxPCp5lqrpIP/jNgR6OMqrqoDJ8vFTSWdcfmvJOloAcGBSuBBAAK\n\
oUQDQgAELbZRg/RJOfiCfCysYbQd5aBi2aCsB51uI/Zf90DeudrzMidLp3CAqvD+\n\
gb58xX9ieGx4YZ4wy+sjsWzZG5iyhw==\n\
-----END EC PRIVATE KEY-----\n";
pub const K256_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgJ9VXE8KnmWqukg/+M2BH\n\
o4yquqgMny8VNJZ1x+a8k6WhRANCAAQttlGD9Ek5+IJ8LKxhtB3loGLZoKwHnW4j\n\
9l/3QN652vMyJ0uncICq8P6BvnzFf2J4bHhhnjDL6yOxbNkbmLKH\n\
-----END PRIVATE KEY-----\n";
pub const ED25519: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIIQEA3TfPuZUPPYX7CItyX0LjVhhBpwQb9FJH7jYo+xw\n\
-----END PRIVATE KEY-----\n";
pub const ED25519_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEA2ABWf/HxXbqLS81gB367t9yDTt8ImfZcGcohCiZF964=\n\
-----END PUBLIC KEY-----\n";
