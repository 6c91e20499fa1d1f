package stack

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are those of the language, for a stack in a folder. They give the same result for the
// same files and arguments, so there is no clock, no chance and no environment among them:
// whatever comes from outside is a variable.
func functions(dir string) map[string]function.Function {
	f := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc,
		"format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "join": stdlib.JoinFunc, "split": stdlib.SplitFunc,
		"lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimsuffix": stdlib.TrimSuffixFunc, "chomp": stdlib.ChompFunc, "indent": stdlib.IndentFunc,
		"replace": stdlib.ReplaceFunc, "regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "substr": stdlib.SubstrFunc, "strrev": stdlib.ReverseFunc,
		"coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "keys": stdlib.KeysFunc, "values": stdlib.ValuesFunc,
		"length": length, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc,
		"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "zipmap": stdlib.ZipmapFunc, "chunklist": stdlib.ChunklistFunc,
		"setunion": stdlib.SetUnionFunc, "setintersection": stdlib.SetIntersectionFunc, "setsubtract": stdlib.SetSubtractFunc, "setproduct": stdlib.SetProductFunc,
		"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": stdlib.JSONDecodeFunc, "csvdecode": stdlib.CSVDecodeFunc,
		"tostring": stdlib.MakeToFunc(cty.String), "tonumber": stdlib.MakeToFunc(cty.Number), "tobool": stdlib.MakeToFunc(cty.Bool),
		"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"try": tryfunc.TryFunc, "can": tryfunc.CanFunc,
		"startswith": asks("prefix", strings.HasPrefix), "endswith": asks("suffix", strings.HasSuffix),
		"base64encode": turns(func(s string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
		"base64decode": turns(decode64),
		"sha256": turns(func(s string) (string, error) {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:]), nil
		}),
		"sensitive":   mark,
		"cidrsubnet":  cidrSubnet,
		"cidrhost":    cidrHost,
		"cidrnetmask": cidrNetmask,
		"file":        turns(func(path string) (string, error) { return readInside(dir, path) }),
		"fileexists":  exists(dir),
		"secret_file": secretFile(dir),
	}
	f["templatefile"] = templateFile(dir, f)
	return f
}

// turns makes a function of one text.
func turns(turn func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out, err := turn(args[0].AsString())
			return cty.StringVal(out), err
		},
	})
}

// asks makes a question about two texts.
func asks(second string, ask func(s, part string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}, {Name: second, Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(ask(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

func decode64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("not in base64")
	}
	return string(b), nil
}

// length counts what is in a list, a map or a text.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].Type() == cty.String {
			return stdlib.Strlen(args[0])
		}
		if !args[0].CanIterateElements() {
			return cty.NilVal, function.NewArgErrorf(0, "want a list, a map or a text")
		}
		return cty.NumberIntVal(int64(args[0].LengthInt())), nil
	},
})

// mark makes a value sensitive.
var mark = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowMarked: true, AllowNull: true, AllowUnknown: true, AllowDynamicType: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		bare, _ := args[0].Unmark()
		return bare.Type(), nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(sensitive), nil },
})

// maxRead is the largest file that file, templatefile and secret_file read, in bytes.
const maxRead = 1 << 20

// readInside reads a file below the stack's folder.
func readInside(dir, path string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open the stack's folder: %w", err)
	}
	defer root.Close()
	if filepath.IsAbs(path) || !filepath.IsLocal(path) {
		return "", fmt.Errorf("%s is outside of the stack's folder", path)
	}
	return readAll(root.Open(path))
}

// readAll reads an opened file whose opening may have gone wrong.
func readAll(file *os.File, err error) (string, error) {
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			return "", fmt.Errorf("%s: %w", at.Path, at.Err)
		}
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxRead+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxRead {
		return "", fmt.Errorf("%s has more than %d bytes", file.Name(), maxRead)
	}
	return string(b), nil
}

// readAnywhere reads a file that may lie outside of the stack's folder; ~ is the home folder.
func readAnywhere(dir, path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the home folder: %w", err)
		}
		path = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return readAll(os.Open(path))
}

func exists(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, err := readInside(dir, args[0].AsString())
			return cty.BoolVal(err == nil), nil
		},
	})
}

// secretFile reads a file whose content is sensitive.
func secretFile(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			content, err := readAnywhere(dir, args[0].AsString())
			return cty.StringVal(content).Mark(sensitive), err
		},
	})
}

// templateFile fills a file's ${...} with the values given.
func templateFile(dir string, known map[string]function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "values", Type: cty.DynamicPseudoType, AllowMarked: true, AllowUnknown: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := args[0].AsString()
			content, err := readInside(dir, path)
			if err != nil {
				return cty.NilVal, err
			}
			if d := measure([]byte(`"`+content+`"`), path); d != nil {
				return cty.NilVal, errors.New(d.Summary)
			}
			expr, diags := hclsyntax.ParseTemplate([]byte(content), path, hcl.InitialPos)
			if diags.HasErrors() {
				return cty.NilVal, fmt.Errorf("%s: %s", place(*diags[0].Subject), diags[0].Summary)
			}
			values, marks := args[1].Unmark()
			if !values.CanIterateElements() || !(values.Type().IsObjectType() || values.Type().IsMapType()) {
				return cty.NilVal, function.NewArgErrorf(1, "want names with values: { NAME = ... }")
			}
			inner := map[string]function.Function{}
			for name, f := range known {
				if name != "templatefile" {
					inner[name] = f
				}
			}
			v, diags := safely(expr, &hcl.EvalContext{Variables: values.AsValueMap(), Functions: inner})
			if diags.HasErrors() {
				return cty.NilVal, fmt.Errorf("%s: %s", place(*diags[0].Subject), diags[0].Summary)
			}
			out, err := convert.Convert(v, cty.String)
			if err != nil {
				return cty.NilVal, fmt.Errorf("%s gives no text", path)
			}
			return out.WithMarks(marks), nil
		},
	})
}
