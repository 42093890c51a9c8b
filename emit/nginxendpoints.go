package emit

import (
	"fmt"
	"strings"
)

// requestExpr returns the expression (PCRE) by which nginx and HAProxy tell
// that "METHOD sep HOST sep path" is of an endpoint. Sep is one that neither a
// method nor a host can hold.
func requestExpr(e Endpoint, sep string) (string, error) {
	methods, path := e.Methods(), e.PathExpr()
	if !isEndpointID(e.ID) || len(methods) == 0 || path == "" {
		return "", fmt.Errorf("endpoint %q: cannot be told apart by a proxy", e.Pattern)
	}
	host := strings.ReplaceAll(e.Host(), ".", "[.]")
	if host == "" {
		host = "[^" + sep + "]*"
	}
	// A path may hold a newline, which $ would let follow.
	path = strings.TrimSuffix(strings.TrimPrefix(path, "^"), "$")
	return "^(?s)(?:" + strings.Join(methods, "|") + ")[" + sep + "]" + host + "[" + sep + "]" + path + `\z`, nil
}
