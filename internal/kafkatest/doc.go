// Package kafkatest runs a real Apache Kafka for tests: KRaft nodes from their
// jars, on loopback, with a small heap, killed and started again at will.
//
// It needs Java 17 and, once, Maven. The jars stay in the user's cache.
package kafkatest
