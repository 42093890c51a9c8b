// Package emit hands over what was decided, as lines of JSON.
package emit
