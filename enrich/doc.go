// Package enrich fills in what a log line does not say itself: whose address
// it is, which endpoint was meant and what came of the request, what the
// client claims to be, and pseudonyms in place of secrets.
//
// Everything it adds is a function of the event, the tables and the key. A
// Worker's caches only save work: no result depends on what they hold.
package enrich
