package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// compared are the modules whose versions a reader wants to know.
var compared = []string{
	"cel.dev/cel-go", "github.com/cedar-policy/cedar-go", "github.com/open-policy-agent/opa", "github.com/ory/fosite",
	"github.com/zitadel/oidc/v3",
}

// machine says what was measured, and on what.
func machine() string {
	out := fmt.Sprintf("%s, %s/%s, GOMAXPROCS %d", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, m := range info.Deps {
		if slices.Contains(compared, m.Path) {
			out += ", " + strings.TrimPrefix(m.Path, "github.com/") + " " + m.Version
		}
	}
	return out
}
