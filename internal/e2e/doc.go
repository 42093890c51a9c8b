// Package e2e holds tests of the whole against a real Kafka.
package e2e
