package policy

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/operators"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The tables of functions and limits in the documentation are made of what is in force. UPDATE_DOCS=1 writes them.
func TestTheReferenceIsOfThisCode(t *testing.T) {
	const file = "../docs/policy.md"
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	want := string(page)
	for name, table := range map[string]string{"functions": functionTable(t), "limits": limitTable()} {
		before, rest, found := strings.Cut(want, "<!-- "+name+" -->\n")
		require.True(t, found, name)
		_, after, found := strings.Cut(rest, "<!-- end -->")
		require.True(t, found, name)
		want = before + "<!-- " + name + " -->\n" + table + "<!-- end -->" + after
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(page))
}

// functionTable lists each function and operator with its forms.
func functionTable(t *testing.T) string {
	env, err := environment()
	require.NoError(t, err)
	var out strings.Builder
	out.WriteString("| function | forms |\n|---|---|\n")
	all := env.Functions()
	require.Greater(t, len(all), 30)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		shown, isOperator := operators.FindReverse(name)
		switch {
		case name == operators.NotStrictlyFalse:
			continue // of the macros alone
		case !isOperator:
			shown = name
		case name == operators.Conditional:
			shown = "? :"
		case name == operators.Index:
			shown = "[ ]"
		case name == operators.Negate:
			shown = "- (one operand)"
		}
		var forms []string
		for _, o := range all[name].OverloadDecls() {
			forms = append(forms, "`"+form(o)+"`")
		}
		fmt.Fprintf(&out, "| `%s` | %s |\n", strings.ReplaceAll(shown, "|", "\\|"), strings.Join(forms, ", "))
	}
	return out.String()
}

func form(o *decls.OverloadDecl) string {
	var args []string
	for _, a := range o.ArgTypes() {
		args = append(args, cel.FormatCELType(a))
	}
	receiver := ""
	if o.IsMemberFunction() {
		receiver, args = args[0]+".", args[1:]
	}
	return fmt.Sprintf("%s(%s) → %s", receiver, strings.Join(args, ", "), cel.FormatCELType(o.ResultType()))
}

// limitTable lists what a set may hold.
func limitTable() string {
	var out strings.Builder
	out.WriteString("| of | at most |\n|---|---|\n")
	for _, l := range []struct {
		of string
		n  int
	}{
		{"bytes of a document", maxFile},
		{"documents of a set", maxFiles},
		{"bytes of a set", maxSet},
		{"bytes of a policy path", maxPath - 1},
		{"rules of a document", maxRules},
		{"entries of a list in a document", maxList},
		{"combinations of client, connection and resource that one document binds", maxBindings},
		{"resources, or connections, of a catalog", maxCatalog},
		{"scopes of a resource in a catalog, of a rule, of a request", canon.MaxScopes},
		{"resources of a request", canon.MaxResources},
		{"distinct conditions of a set", maxExpressions},
		{"bytes of a condition", maxExpression},
		{"nodes of a condition", maxExprNodes},
		{"levels of a condition", maxExprDepth},
		{"cost of a condition in its worst case, in units of CEL's estimate", maxCost},
		{"bytes of a regular expression, which is a literal", maxPattern},
		{"instructions that it compiles to", maxProgram},
		{"values in `env`, in the attributes of one party, in `task.context`, in `request.details`", maxDynNodes},
		{"entries of one list or map in there", maxDynItems},
		{"bytes of one string in there", maxDynText},
	} {
		fmt.Fprintf(&out, "| %s | %d |\n", l.of, l.n)
	}
	return out.String()
}
