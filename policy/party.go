package policy

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// partyType is the type of an entry of chain.
var partyType = types.NewObjectType("Party")

// party is one entry of chain.
type party struct{ lineage.Party }

// ConvertToNative implements ref.Val. A party has no other form.
func (p party) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("a party has no other form")
}

// ConvertToType implements ref.Val.
func (p party) ConvertToType(ref.Type) ref.Val { return types.NewErr("a party has no other form") }

// Equal implements ref.Val.
func (p party) Equal(other ref.Val) ref.Val {
	o, ok := other.(party)
	return types.Bool(ok && p == o)
}

// Type implements ref.Val.
func (p party) Type() ref.Type { return partyType }

// Value implements ref.Val.
func (p party) Value() any { return p }

func parties(chain []lineage.Party) ref.Val {
	if len(chain) > canon.MaxChain {
		return types.NewErr("a list is too long to evaluate")
	}
	out := make([]ref.Val, len(chain))
	for i, p := range chain {
		out[i] = party{p}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// provider adds the party type to the standard types, and lets nothing be constructed.
type provider struct{ types.Provider }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if name == partyType.TypeName() {
		return types.NewTypeTypeWithParam(partyType), true
	}
	return nil, false
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	return []string{"id", "issuer", "kind"}, name == partyType.TypeName()
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	var get func(party) string
	switch {
	case name != partyType.TypeName():
		return nil, false
	case field == "id":
		get = func(p party) string { return p.ID }
	case field == "issuer":
		get = func(p party) string { return p.Issuer }
	case field == "kind":
		get = func(p party) string { return p.Kind }
	default:
		return nil, false
	}
	return &types.FieldType{
		Type:  types.StringType,
		IsSet: func(any) bool { return true },
		GetFrom: func(v any) (any, error) {
			p, ok := v.(party)
			if !ok {
				return nil, errors.New("not a party")
			}
			return text(get(p)), nil
		},
	}, true
}

func (p provider) NewValue(string, map[string]ref.Val) ref.Val {
	return types.NewErr("objects cannot be constructed")
}
