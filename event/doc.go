// Package event holds the records that cross borders: the request that came
// in and the decision that goes out.
package event
