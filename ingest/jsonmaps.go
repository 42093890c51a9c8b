package ingest

import (
	"slices"

	"weir/event"
)

// The keys under which servers and edges write their logs. An address is taken
// only from keys that the server fills by itself: a header that a client sends
// is at most an address chain, which counts as far as proxies are trusted.

// under says that keys hold a field, the preferred first.
func (f jsonFields) under(field event.Field, paths ...string) {
	f.fill(jsonSlot(field), inSeconds, paths...)
}

// fill says that keys hold what a slot is for, numbers of time in that unit.
func (f jsonFields) fill(slot jsonSlot, scale int8, paths ...string) {
	for _, path := range paths {
		if !slices.ContainsFunc(f[slot], func(k jsonKey) bool { return k.path == path }) {
			f[slot] = append(f[slot], jsonKey{path, scale})
		}
	}
}

// nginxKeys are those of the usual log_format with escape=json, which names
// keys as nginx names variables, and of its usual variations.
func nginxKeys() jsonFields {
	f := jsonFields{}
	f.nginx()
	return f
}

func (f jsonFields) nginx() {
	f.under(event.FieldTime, "time_iso8601", "time_local", "msec", "time", "timestamp", "@timestamp", "ts", "date")
	f.under(event.FieldIP, "remote_addr", "client_ip", "clientip", "remote_ip", "client", "ip", "client_addr", "remote")
	f.fill(jsonForwarded, 0, "http_x_forwarded_for", "x_forwarded_for", "proxy_add_x_forwarded_for", "xff", "forwarded_for", "http_forwarded")
	f.under(event.FieldMethod, "request_method", "method", "verb", "http_method")
	f.fill(jsonURI, 0, "request_uri")
	f.fill(jsonRequest, 0, "request", "request_line")
	f.fill(jsonLastPath, 0, "uri", "path", "document_uri")
	f.fill(jsonLastQuery, 0, "args", "query_string")
	f.under(event.FieldProtocol, "server_protocol", "protocol", "http_version")
	f.under(event.FieldStatus, "status", "response_status", "response", "status_code")
	f.under(event.FieldBytes, "body_bytes_sent", "bytes_sent", "bytes", "size", "response_size")
	f.under(event.FieldDuration, "request_time", "duration", "response_time")
	f.under(event.FieldSite, "host", "server_name", "http_host", "vhost", "domain")
	f.under(event.FieldReferer, "http_referer", "http_referrer", "referer", "referrer")
	f.under(event.FieldAgent, "http_user_agent", "user_agent", "agent", "useragent")
	f.under(event.FieldLanguage, "http_accept_language", "accept_language", "language")
	f.under(event.FieldTLS, "ssl_protocol", "tls_version", "tls_protocol")
	f.under(event.FieldJA3, "ssl_ja3", "ssl_ja3_hash", "ja3", "ja3_hash", "http_x_ja3", "http_ssl_ja3", "ssl_fingerprint")
	f.under(event.FieldJA4, "ssl_ja4", "ssl_ja4_hash", "ja4", "ja4_hash", "http_x_ja4", "http_ssl_ja4", "tls_ja4")
	f.under(event.FieldCredential, "username", "remote_user", "user", "user_name", "login", "credential")
	f.under(event.FieldSession, "session", "session_id", "sessionid", "sid", "cookie_session", "cookie_sessionid", "cookie_sid", "cookie_phpsessid", "cookie_jsessionid")
	f.under(event.FieldConsumer, "consumer", "api_key", "http_x_api_key", "partner")
	f.under(event.FieldID, "request_id", "req_id", "trace_id", "http_x_request_id", "id")
	f.under(event.FieldCountry, "geoip_country_code", "geoip2_country_code", "country", "country_code")
	f.under(event.FieldASN, "geoip2_asn", "asn")
	f.under(event.FieldOrg, "geoip2_org", "asn_org", "geoip_org")
	f.under(event.FieldRefused, "refused", "waf_action")
	f.under(event.FieldOutcome, "outcome")
}

// caddyKeys are those of Caddy's access log. client_ip is what Caddy made of
// its own trusted_proxies.
func caddyKeys() jsonFields {
	f := jsonFields{}
	f.caddy()
	return f
}

func (f jsonFields) caddy() {
	f.under(event.FieldTime, "ts")
	f.under(event.FieldIP, "request.client_ip", "request.remote_ip", "request.remote_addr")
	f.fill(jsonForwarded, 0, "request.headers.X-Forwarded-For", "request.headers.Forwarded")
	f.under(event.FieldMethod, "request.method")
	f.fill(jsonURI, 0, "request.uri")
	f.under(event.FieldProtocol, "request.proto")
	f.under(event.FieldSite, "request.host")
	f.under(event.FieldStatus, "status")
	f.under(event.FieldBytes, "size")
	f.under(event.FieldDuration, "duration")
	f.under(event.FieldReferer, "request.headers.Referer")
	f.under(event.FieldAgent, "request.headers.User-Agent")
	f.under(event.FieldLanguage, "request.headers.Accept-Language")
	f.under(event.FieldTLS, "request.tls.version")
	f.under(event.FieldCredential, "user_id")
	f.under(event.FieldID, "uuid", "request.headers.X-Request-Id")
}

// traefikKeys are those of Traefik's access log in JSON, with the headers that
// it was told to keep.
func traefikKeys() jsonFields {
	f := jsonFields{}
	f.traefik()
	return f
}

func (f jsonFields) traefik() {
	f.under(event.FieldTime, "StartUTC", "StartLocal", "time")
	f.under(event.FieldIP, "ClientHost", "ClientAddr")
	f.fill(jsonForwarded, 0, "request_X-Forwarded-For", "request_Forwarded")
	f.under(event.FieldMethod, "RequestMethod")
	f.fill(jsonURI, 0, "RequestPath")
	f.fill(jsonRequest, 0, "RequestLine")
	f.under(event.FieldProtocol, "RequestProtocol")
	f.under(event.FieldSite, "RequestHost", "RequestAddr")
	f.under(event.FieldStatus, "DownstreamStatus", "OriginStatus")
	f.under(event.FieldBytes, "DownstreamContentSize", "OriginContentSize")
	f.fill(jsonSlot(event.FieldDuration), inNanos, "Duration")
	f.under(event.FieldReferer, "request_Referer")
	f.under(event.FieldAgent, "request_User-Agent")
	f.under(event.FieldLanguage, "request_Accept-Language")
	f.under(event.FieldTLS, "TLSVersion")
	f.under(event.FieldCredential, "ClientUsername")
	f.under(event.FieldID, "request_X-Request-Id")
}

// cloudflareKeys are those of Logpush's http_requests.
func cloudflareKeys() jsonFields {
	f := jsonFields{}
	f.cloudflare()
	return f
}

func (f jsonFields) cloudflare() {
	f.under(event.FieldTime, "EdgeStartTimestamp", "EdgeEndTimestamp")
	f.under(event.FieldIP, "ClientIP")
	f.under(event.FieldMethod, "ClientRequestMethod")
	f.fill(jsonURI, 0, "ClientRequestURI")
	f.fill(jsonLastPath, 0, "ClientRequestPath")
	f.under(event.FieldProtocol, "ClientRequestProtocol")
	f.under(event.FieldSite, "ClientRequestHost")
	f.under(event.FieldStatus, "EdgeResponseStatus")
	f.under(event.FieldBytes, "EdgeResponseBytes", "EdgeResponseBodyBytes")
	f.fill(jsonSlot(event.FieldDuration), inMillis, "EdgeTimeToFirstByteMs", "OriginResponseDurationMs")
	f.under(event.FieldReferer, "ClientRequestReferer")
	f.under(event.FieldAgent, "ClientRequestUserAgent")
	f.under(event.FieldLanguage, "RequestHeaders.accept-language")
	f.under(event.FieldTLS, "ClientSSLProtocol")
	f.under(event.FieldJA3, "JA3Hash")
	f.under(event.FieldJA4, "JA4")
	f.under(event.FieldCountry, "ClientCountry")
	f.under(event.FieldASN, "ClientASN")
	f.under(event.FieldRefused, "SecurityAction", "FirewallMatchesActions")
	f.under(event.FieldID, "RayID")
}

// anyKeys are all of these, and what applications and shippers call them.
func anyKeys() jsonFields {
	f := jsonFields{}
	f.nginx()
	f.caddy()
	f.traefik()
	f.cloudflare()
	f.under(event.FieldTime, "datetime", "start_time", "eventTime", "event_time")
	f.under(event.FieldIP, "remoteAddr", "remoteIp", "clientIp", "source_ip", "src_ip", "client.ip", "source.ip")
	f.under(event.FieldMethod, "requestMethod", "http.request.method")
	f.fill(jsonURI, 0, "uri", "requestUrl", "request_url", "url", "url.original", "path")
	f.under(event.FieldStatus, "statusCode", "http.response.status_code")
	f.under(event.FieldBytes, "responseSize", "http.response.body.bytes")
	f.fill(jsonSlot(event.FieldDuration), inMillis, "duration_ms", "latency_ms", "elapsed_ms", "response_time_ms")
	f.under(event.FieldAgent, "userAgent", "user_agent.original")
	f.under(event.FieldReferer, "http.request.referrer")
	f.under(event.FieldSite, "hostname", "url.domain")
	f.under(event.FieldCredential, "userName", "account", "user.name")
	f.under(event.FieldSession, "sessionId")
	f.under(event.FieldID, "requestId", "traceId")
	return f
}

// timeKeys are those of anyKeys that hold a time.
func timeKeys() jsonFields {
	slot := jsonSlot(event.FieldTime)
	return jsonFields{slot: anyKeys()[slot]}
}
