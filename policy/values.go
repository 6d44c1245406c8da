package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// absent is the value of what a request does not have. Reading it is an evaluation error, so it never permits. It is
// made anew each time because the evaluator writes to an error it passes on.
func absent(what string) ref.Val { return types.NewErr("the request has no %s", what) }

func text(s string) ref.Val {
	if len(s) > canon.MaxResource {
		return types.NewErr("a value is too long to evaluate")
	}
	return types.String(s)
}

// texts boxes a list of strings within the size that the cost estimate assumes.
func texts(list []string, most int) ref.Val {
	if len(list) > most {
		return types.NewErr("a list is too long to evaluate")
	}
	for _, s := range list {
		if len(s) > canon.MaxName {
			return types.NewErr("a value is too long to evaluate")
		}
	}
	return newWords(list)
}

// words is a list of strings that subset can look into without boxing each.
type words struct {
	traits.Lister
	list []string
}

func newWords(list []string) *words {
	return &words{types.NewStringList(types.DefaultTypeAdapter, list), list}
}

func moment(t time.Time, what string) ref.Val {
	if t.IsZero() {
		return absent(what)
	}
	return types.Timestamp{Time: t}
}

// dynamic boxes a plain JSON value within the sizes that the cost estimate assumes. What is in it is boxed when it is
// read.
func dynamic(v any) ref.Val {
	left := maxDynNodes
	if err := checkPlain(v, &left, 0); err != nil {
		return types.WrapErr(err)
	}
	return plain{}.NativeToValue(v)
}

var (
	errDynamic = errors.New("a value is too large to evaluate")
	errNoData  = errors.New("a value is not plain data")
)

// checkPlain refuses what is not plain data, or too much of it.
func checkPlain(v any, left *int, depth int) error {
	*left--
	if *left < 0 || depth > canon.MaxNesting {
		return errDynamic
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) > maxDynItems {
			return errDynamic
		}
		for k, e := range v {
			if err := checkPlain(e, left, depth+1); err != nil || len(k) > canon.MaxName {
				return errDynamic
			}
		}
	case []any:
		if len(v) > maxDynItems {
			return errDynamic
		}
		for _, e := range v {
			if err := checkPlain(e, left, depth+1); err != nil {
				return err
			}
		}
	case string:
		if len(v) > maxDynText {
			return errDynamic
		}
	case json.Number:
		_, err := boxedNumber(v)
		return err
	case nil, float64, bool, int, int32, int64, uint32, time.Time, time.Duration:
	default:
		return errNoData
	}
	return nil
}

// plain boxes what checkPlain has let pass: whole numbers as int, however they are held.
type plain struct{}

// NativeToValue implements types.Adapter.
func (plain) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case ref.Val:
		return v
	case map[string]any:
		return types.NewStringInterfaceMap(plain{}, v)
	case []any:
		return types.NewDynamicList(plain{}, v)
	case json.Number:
		n, err := boxedNumber(v)
		if err != nil {
			return types.WrapErr(err)
		}
		return n
	case float64:
		if i := int64(v); float64(i) == v && math.Abs(v) < 1<<53 {
			return types.Int(i)
		}
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

func boxedNumber(n json.Number) (ref.Val, error) {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return types.Int(i), nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, errors.New("a number is out of range")
	}
	return types.Double(f), nil
}

// jsonValue boxes a JSON text; empty where there is none.
func jsonValue(raw json.RawMessage, empty any) ref.Val {
	if len(raw) == 0 {
		return dynamic(empty)
	}
	if len(raw) > canon.MaxDetails {
		return types.WrapErr(errDynamic)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil || reflect.TypeOf(v) != reflect.TypeOf(empty) {
		return types.NewErr("a value is not the JSON it should be")
	}
	return dynamic(v)
}
