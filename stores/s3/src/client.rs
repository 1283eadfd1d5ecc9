//! The client of the AWS SDK, as the store uses it.

use crate::error::Error;
use crate::options::Options;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::time::Duration;

/// Longest time until a connection is established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns a client. It follows no redirect and repeats nothing by itself: [`Caller`](crate::call::Caller) does.
///
/// # Errors
/// [`Error::Invalid`] if the file of certificates cannot be read or has none.
pub(crate) async fn connect(options: &Options) -> Result<Client, Error> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(options.request_timeout)
        .build();
    let mut shared = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .http_client(http_client(options)?)
        .timeout_config(timeouts);
    if let Some(profile) = &options.profile {
        shared = shared.profile_name(profile);
    }
    if let Some(given) = &options.credentials {
        let token = given.session_token.clone();
        let given = Credentials::new(&given.access_key, &given.secret_key, token, None, "sexton");
        shared = shared.credentials_provider(given);
    }
    let shared = shared.load().await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(options.path_style)
        .disable_s3_express_session_auth(true)
        .retry_config(RetryConfig::disabled())
        // Servers of other makes may know no checksum but Content-MD5.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

fn http_client(options: &Options) -> Result<SharedHttpClient, Error> {
    let mut trusted = TrustStore::default();
    if let Some(path) = &options.ca_file {
        let invalid = |why: String| {
            Error::Invalid(format!("the file of certificates {}: {why}", path.display()).into())
        };
        let pem = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
        // The TLS library accepts a file without a certificate, and then no server.
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(invalid("it has no certificate in PEM".into()));
        }
        trusted = TrustStore::empty().with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| Error::Invalid(format!("TLS cannot be set up: {error}").into()))?;
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(builder.tls_context(context).build_https())
}
