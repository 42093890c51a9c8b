// Package testkit makes inputs for tests, benchmarks and the demo: random
// event streams in a plain line format, and access logs with a known truth.
package testkit
