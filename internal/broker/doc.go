// Package broker says how weir connects to Kafka: addresses, TLS, SASL, and
// what its errors mean.
package broker
