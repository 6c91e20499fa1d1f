package stack

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

var count = function.Parameter{Type: cty.Number}

func named(name string, p function.Parameter) function.Parameter {
	p.Name = name
	return p
}

// cidrSubnet is cidrsubnet("10.0.0.0/8", 8, 2): 10.2.0.0/16.
var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, named("bits", count), named("number", count)},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "want a CIDR such as 10.0.0.0/16")
		}
		bits, ok1 := whole(args[1])
		number, ok2 := whole(args[2])
		length := prefix.Bits() + bits
		if !ok1 || bits < 0 || length > prefix.Addr().BitLen() {
			return cty.NilVal, function.NewArgErrorf(1, "there are not so many bits left in %s", prefix)
		}
		if !ok2 || number < 0 || bits < 31 && number >= 1<<bits {
			return cty.NilVal, function.NewArgErrorf(2, "there is no subnet of that number")
		}
		addr, err := offset(prefix.Masked().Addr(), new(big.Int).Lsh(big.NewInt(int64(number)), uint(prefix.Addr().BitLen()-length)))
		if err != nil {
			return cty.NilVal, err
		}
		return cty.StringVal(netip.PrefixFrom(addr, length).String()), nil
	},
})

// cidrHost is cidrhost("10.0.0.0/24", 5): 10.0.0.5.
var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, named("number", count)},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "want a CIDR such as 10.0.0.0/16")
		}
		number, ok := whole(args[1])
		if !ok || number < 0 {
			return cty.NilVal, function.NewArgErrorf(1, "want a whole number from 0")
		}
		addr, err := offset(prefix.Masked().Addr(), big.NewInt(int64(number)))
		if err != nil || !prefix.Contains(addr) {
			return cty.NilVal, function.NewArgErrorf(1, "there is no such host in %s", prefix)
		}
		return cty.StringVal(addr.String()), nil
	},
})

// cidrNetmask is cidrnetmask("10.0.0.0/24"): 255.255.255.0.
var cidrNetmask = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil || !prefix.Addr().Is4() {
			return cty.NilVal, function.NewArgErrorf(0, "want an IPv4 CIDR such as 10.0.0.0/16")
		}
		var mask [4]byte
		binary.BigEndian.PutUint32(mask[:], uint32(uint64(0xffffffff)<<(32-prefix.Bits())))
		return cty.StringVal(netip.AddrFrom4(mask).String()), nil
	},
})

// offset is the address that lies so many after another.
func offset(addr netip.Addr, by *big.Int) (netip.Addr, error) {
	sum := new(big.Int).Add(new(big.Int).SetBytes(addr.AsSlice()), by)
	if sum.BitLen() > addr.BitLen() {
		return netip.Addr{}, fmt.Errorf("there is no such address after %s", addr)
	}
	moved, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, addr.BitLen()/8)))
	return moved, nil
}
