package rules

import "weir/event"

// DidYouMean returns the hint to append to a message about a word that is not
// one of the candidates, or "" where none is near.
func DidYouMean(word string, candidates []string) string { return didYouMean(word, candidates) }

// FieldHint is DidYouMean about the fields of an event, which also knows what
// other systems call them.
func FieldHint(word string, x event.Extras) string { return fieldHint(word, x) }
