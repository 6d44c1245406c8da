// Package arch enforces the plan of the house on the source: who may import whom, what may leave a package, and where
// time comes from. It has tests only.
package arch

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rooms says what each package may import of ours. A package that is not here has no room: give it one, and say in
// CONTRIBUTING.md what it is for. A name that ends in "/*" is each directory right below; "/..." also what is further
// down.
var rooms = map[string][]string{
	".":       {"lineage", "store", "internal/canon", "internal/state"},
	"lineage": {"internal/canon"},

	"store":           {"lineage", "internal/canon"},
	"store/memory":    {"store", "lineage", "internal/recent"},
	"store/bolt":      {"store", "lineage", "internal/recent"},
	"store/storetest": {"store", "lineage"},
	"store/postgres":  {"store", "lineage"},
	"store/nats":      {"store", "lineage"},

	"policy":               {".", "lineage", "internal/canon", "internal/requestdoc", "internal/yamldoc"},
	"policy/replay":        {".", "lineage"},
	"policy/suggest":       {".", "lineage", "policy", "internal/canon", "internal/yamldoc"},
	"policy/policytest":    {".", "lineage", "policy", "internal/requestdoc", "internal/yamldoc"},
	"exchange":             {".", "lineage", "internal/canon"},
	"mint":                 {".", "lineage", "store", "internal/canon", "internal/front", "internal/jose", "internal/recent"},
	"identity":             {".", "lineage", "internal/canon", "internal/front", "internal/jose", "internal/recent"},
	"identity/workloadapi": {".", "lineage", "identity"},

	"endpoint": {".", "lineage", "exchange"},
	"gate":     {".", "lineage", "exchange"},
	"agent":    {".", "lineage", "exchange"},
	"hosts/*":  {".", "lineage", "exchange"},
	"verify":   {".", "lineage", "mint"},
	"broker":   {".", "lineage", "internal/canon"},

	// Both sides of a protocol, the agent's and the resource server's.
	"hosts/mcp": {".", "lineage", "agent", "verify"},

	"internal/canon":   {},
	"internal/recent":  {},
	"internal/state":   {"internal/canon"},
	"internal/front":   {"internal/canon"},
	"internal/yamldoc": {"internal/canon"},

	"internal/requestdoc": {".", "lineage", "internal/canon", "internal/yamldoc"},

	"internal/jose": {"internal/canon", "internal/front"},
	"internal/arch": {},

	"cmd/...":      nil, // anything; nothing imports them
	"examples/...": nil,

	"hosts/fosite/example/...":  nil,
	"hosts/goidc/example/...":   nil,
	"hosts/mcp/example/...":     nil,
	"hosts/zitadel/example/...": nil,

	"bench/...":            nil,
	"internal/canary":      {"store", "lineage"},
	"internal/pgtest":      nil,
	"internal/crash/...":   nil,
	"internal/hostile/...": nil,
	"internal/linear/...":  nil,
	"internal/mutation":    {},
}

// foreign says which rooms of the root module may import a third party. A user links only what stands in the rooms
// that he imports. One that is not here is not a dependency of the root module; a driver belongs into a nested module.
var foreign = map[string][]string{
	"cel.dev":                         {"policy"},
	"go.yaml.in/yaml":                 {"policy", "policy/suggest", "internal/yamldoc"},
	"google.golang.org/protobuf":      {"policy"},
	"github.com/go-jose/go-jose":      {"internal/jose", "mint", "identity"},
	"go.etcd.io/bbolt":                {"store/bolt"},
	"golang.org/x/oauth2":             {"exchange", "agent"},
	"github.com/stretchr/testify":     {}, // tests only; the kit needs nothing
	"github.com/benbjohnson/clock":    {".", "policy", "exchange", "mint", "identity", "endpoint", "gate", "agent", "verify", "broker", "internal/jose"},
	"github.com/google/cel-go":        {}, // the old path of cel.dev/cel-go
	"github.com/golang-jwt/jwt":       {}, // one JOSE library is enough
	"github.com/lestrrat-go/jwx":      {},
	"gopkg.in/yaml.v3":                {}, // the old path of go.yaml.in/yaml
	"github.com/jackc/pgx":            {}, // drivers live in nested modules
	"github.com/nats-io/nats.go":      {},
	"google.golang.org/grpc":          {},
	"github.com/spiffe/go-spiffe":     {},
	"github.com/ory/fosite":           {},
	"github.com/zitadel/oidc":         {},
	"github.com/modelcontextprotocol": {},
}

// room returns the key of rooms that a directory belongs to.
func room(dir string) (key string, ok bool) {
	if _, ok := rooms[dir]; ok {
		return dir, true
	}
	if _, ok := rooms[path.Dir(dir)+"/*"]; ok {
		return path.Dir(dir) + "/*", true
	}
	for d := dir; d != "."; d = path.Dir(d) {
		if _, ok := rooms[d+"/..."]; ok {
			return d + "/...", true
		}
	}
	return "", false
}

// outermost reports whether a room may import anything and be imported by nothing.
func outermost(key string) bool { return strings.HasSuffix(key, "/...") }

func TestEveryPackageHasARoom(t *testing.T) {
	var bad findings
	for _, f := range load(t).files {
		_, ok := room(f.dir)
		bad.unless(ok, "%s: the package has no room; give it a room in internal/arch", f.name)
	}
	bad.report(t)
}

func TestImportsStayInTheTable(t *testing.T) {
	var bad findings
	for _, f := range load(t).files {
		if f.test {
			continue
		}
		key, _ := room(f.dir)
		for p := range f.imports {
			dir, ours := local(p)
			if !ours {
				continue
			}
			target, _ := room(dir)
			bad.unless(outermost(key) || slices.Contains(rooms[key], dir), "%s imports %s; %s may import %v", f.name, dir, key, rooms[key])
			bad.unless(!outermost(target) || under(f.dir, strings.TrimSuffix(target, "/...")), "%s imports %s, which nothing may import", f.name, dir)
		}
	}
	bad.report(t)
}

func TestThirdPartiesStayInTheirRooms(t *testing.T) {
	var bad findings
	for _, f := range load(t).files {
		if f.test || f.module != "." {
			continue
		}
		for p := range f.imports {
			if _, ours := local(p); ours || standard(p) {
				continue
			}
			home := ""
			for prefix := range foreign {
				if under(p, prefix) && len(prefix) > len(home) {
					home = prefix
				}
			}
			bad.unless(home != "", "%s imports %s, which is no dependency of the root module", f.name, p)
			bad.unless(home == "" || slices.Contains(foreign[home], f.dir), "%s imports %s; only %v may", f.name, p, foreign[home])
		}
	}
	bad.report(t)
}

// TestTestsOfTheRootModuleNeedOnlyIt keeps `GOWORK=off go vet ./...` working: a test may import any package of its own
// module and what its go.mod requires, but nothing that lives in a nested module.
func TestTestsOfTheRootModuleNeedOnlyIt(t *testing.T) {
	repo := load(t)
	required := requires(repo.modules["."])
	require.Contains(t, required, "github.com/stretchr/testify", "control: go.mod is read")
	var bad findings
	for _, f := range repo.files {
		if !f.test || f.module != "." {
			continue
		}
		for p := range f.imports {
			if dir, ours := local(p); ours {
				bad.unless(repo.moduleOf(dir) == ".", "%s imports %s, which is in a nested module", f.name, p)
				continue
			}
			known := slices.ContainsFunc(required, func(m string) bool { return under(p, m) })
			bad.unless(standard(p) || known, "%s imports %s, which the root module does not require", f.name, p)
		}
	}
	bad.report(t)
}

func TestModulesAreTiedAndSeparate(t *testing.T) {
	repo := load(t)
	for _, m := range requires(repo.modules["."]) {
		require.False(t, under(m, rootModule), "the root module requires %s, a module of ours", m)
	}
	for dir, mod := range repo.modules {
		want := "module " + path.Join(rootModule, dir) + "\n"
		require.Contains(t, mod, want, "%s/go.mod", dir)
		if repo.work == "" {
			continue
		}
		tied := slices.ContainsFunc(strings.Fields(repo.work), func(w string) bool { return path.Clean(w) == dir })
		require.True(t, tied, "go.work does not use %s", dir)
	}
}

// TestTheTableKnowsItsOwnRooms catches a misspelt entry, which would permit nothing and be noticed by nobody.
func TestTheTableKnowsItsOwnRooms(t *testing.T) {
	for key, allowed := range rooms {
		for _, dir := range allowed {
			target, ok := room(dir)
			require.True(t, ok, "%s may import %s, which has no room", key, dir)
			require.False(t, outermost(target), "%s may import %s", key, dir)
			require.NotContains(t, rooms[target], key, "%s and %s import each other", key, dir)
		}
	}
	for _, leaf := range []string{"lineage", "store", "store/memory", "internal/canon", "internal/front", "internal/state"} {
		for third, homes := range foreign {
			require.NotContains(t, homes, leaf, "%s in %s", third, leaf)
		}
	}
	for third, homes := range foreign {
		if third != "github.com/benbjohnson/clock" {
			require.NotContains(t, homes, ".", "%s in root", third)
		}
	}
}

func TestRoom(t *testing.T) {
	for dir, want := range map[string]string{
		".": ".", "lineage": "lineage", "hosts/fosite": "hosts/*", "cmd/tokenboundary": "cmd/...", "cmd/tokenboundary/internal/x": "cmd/...",
		"bench": "bench/...", "lineage/extra": "", "hosts": "", "hosts/fosite/x": "", "new": "", "internal": "", "command": "",
	} {
		got, ok := room(dir)
		require.Equal(t, want, got, dir)
		require.Equal(t, want != "", ok, dir)
	}
	require.True(t, under("a/b", "a") && under("a", "a") && !under("ab", "a"))
	require.True(t, standard("net/http") && standard("time") && !standard("go.etcd.io/bbolt"))
	require.Equal(t, []string{"example.org/a", "example.org/b/v2", "example.org/c"},
		requires("module x.org/m\n\nrequire example.org/a v1.0.0\n\nrequire (\n\texample.org/b/v2 v2.0.0\n\texample.org/c v0.1.0 // indirect\n)\n"))
}
