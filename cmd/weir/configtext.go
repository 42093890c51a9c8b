package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// yamlText says what the YAML reader found wrong and where, in the words of who
// wrote the file: what a key must be, not which type of Go it is read into.
func yamlText(err error) string {
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		return yaml.FormatErrorWithToken("must be "+wanted(e.DstType), e.Token, false, true)
	}
	if e, ok := errors.AsType[*yaml.OverflowError](err); ok {
		return yaml.FormatErrorWithToken(fmt.Sprintf("%s is too large, must be %s", e.SrcNum, wanted(e.DstType)), e.Token, false, true)
	}
	if e, ok := errors.AsType[*yaml.UnexpectedNodeTypeError](err); ok {
		switch e.Expected {
		case ast.MappingType:
			return yaml.FormatErrorWithToken("must be "+wantedKeys, e.Token, false, true)
		case ast.SequenceType:
			return yaml.FormatErrorWithToken("must be "+wantedList, e.Token, false, true)
		}
	}
	return yaml.FormatError(err, false, true)
}

const (
	wantedKeys = "keys with values, such as {key: value}"
	wantedList = "a list, such as [a, b]"
)

// wanted names what a type is written as.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return "a whole number"
	case reflect.Slice:
		return wantedList
	case reflect.Map, reflect.Struct:
		return wantedKeys
	case reflect.Pointer:
		return wanted(t.Elem())
	}
	return "text"
}

// there says that a file or directory is missing that a key of the configuration
// names. What else may be wrong with it is for whoever reads it to say.
func (c *config) there(key, name, kind string) error {
	if _, err := os.Stat(c.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if c.path(name) != name && c.dir != "." {
		name = c.path(name)
	}
	return usagef("%s: %s: no such %s; make it or take it out", key, name, kind)
}

// tablesThere reports the tables that are missing.
func (c *config) tablesThere() (err error) {
	if c.Enrich.ASN != "" {
		err = c.there("enrich: asn", c.Enrich.ASN, "file")
	}
	for _, text := range c.Enrich.Crawlers {
		if _, p, named := strings.Cut(text, "="); named {
			text = p
		}
		err = errors.Join(err, c.there("enrich: crawlers", text, "file or directory"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Enrich.Lookups)) {
		err = errors.Join(err, c.there("enrich: lookups: "+name, c.Enrich.Lookups[name], "file"))
	}
	return err
}
