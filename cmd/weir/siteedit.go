package main

import (
	"errors"
	"reflect"

	"github.com/goccy/go-yaml"
)

// addAllow returns a site file's text with one more entry of allow:, its last.
// Everything else stays as it is, letter by letter; what comes out is read again
// and held to that.
func addAllow(src []byte, entry string) ([]byte, error) {
	root, e, err := edit(src)
	if err != nil {
		return nil, err
	}
	if allow := member(root, "allow"); allow != nil {
		e.addItem(allow, entry)
	} else {
		e.lines = append(e.lines, "allow:\n", "  - "+entry+"\n")
	}
	out := e.text()
	var was, is map[string]any
	var one any
	err = errors.Join(yaml.Unmarshal(src, &was), yaml.Unmarshal(out, &is), yaml.Unmarshal([]byte(entry), &one))
	if was == nil {
		was = map[string]any{}
	}
	had, _ := was["allow"].([]any)
	was["allow"] = append(had, one)
	if err != nil || !reflect.DeepEqual(was, is) {
		return nil, errEdit
	}
	return out, nil
}
