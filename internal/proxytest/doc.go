// Package proxytest starts real proxies on the loopback for tests: nginx and
// HAProxy as Debian packages them, a site behind them, and clients.
package proxytest
