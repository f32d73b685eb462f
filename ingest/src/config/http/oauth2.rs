//! `http_config.oauth2`: a token for our own credentials (RFC 6749, section 4.4), with the keys that
//! Prometheus has for it.

use std::fmt;

use super::{
    Authorization, ClientTls, Credential, ProxyUrl, read_credential, read_proxy, read_tls,
};
use crate::config::output::is_http_url;
use crate::redact::{Properties, host_of};
use crate::yaml::section::{Section, text_of};

/// Where a token is asked for, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// Who we are.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Credential,
    /// Where to ask.
    pub token_url: String,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// Further parameters of the request, such as `audience`.
    pub endpoint_params: Properties,
    /// Whom we trust there.
    pub tls: ClientTls,
    /// The proxy on the way there.
    pub proxy_url: Option<ProxyUrl>,
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("token_url", &host_of(&self.token_url))
            .field("endpoint_params", &self.endpoint_params)
            .finish_non_exhaustive()
    }
}

pub(super) fn read(parent: &mut Section<'_, '_>) -> Option<Authorization> {
    let mut found = None;
    parent.section("oauth2", |s| {
        let (mut id, mut url) = (None, None);
        s.optional("client_id", &mut id);
        let secret = read_credential(s, "client_secret", "client_secret_file");
        s.optional("token_url", &mut url);
        let (mut scopes, mut endpoint_params) = (Vec::new(), Properties::default());
        s.texts("scopes", &mut scopes);
        if scopes.iter().any(|scope| scope.contains(char::is_whitespace)) {
            s.problem("scopes", "must be a list of words; one of them has a space in it");
        }
        s.section("endpoint_params", |s| {
            for entry in s.take_rest() {
                match text_of(&entry.node) {
                    Some(text) => {
                        endpoint_params.insert(entry.key.clone(), text.to_owned());
                    }
                    None => s.problem_at(entry, "must be text"),
                }
            }
        });
        let (mut tls, mut proxy_url) = (ClientTls::default(), None);
        s.section("tls_config", |s| read_tls(s, &mut tls));
        read_proxy(s, &mut proxy_url);
        if (&id, &secret, &url) == (&None, &None, &None) && !s.has_problem("client_secret_file") {
            return;
        }
        if id.is_none() {
            s.problem("client_id", "is missing; who asks for the token?");
        }
        if secret.is_none() && !s.has_problem("client_secret_file") {
            s.problem("client_secret_file", "is missing; name the file with the client's secret");
        }
        match &url {
            None => s.problem("token_url", "is missing; where is the token asked for?"),
            // Not shown: it may carry something secret.
            Some(url) if !is_http_url(url) => {
                s.problem("token_url", "must be an http or https URL with a host");
            }
            Some(_) => {}
        }
        if let (Some(client_id), Some(client_secret), Some(token_url)) = (id, secret, url) {
            let oauth2 = OAuth2 {
                client_id,
                client_secret,
                token_url,
                scopes,
                endpoint_params,
                tls,
                proxy_url,
            };
            found = Some(Authorization::OAuth2(Box::new(oauth2)));
        }
    });
    found
}
