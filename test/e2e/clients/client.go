// Calls the daemon with Go's varlink library, and prints the answers as JSON.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/varlink/go/varlink"
)

const credentials = "io.cio.Credentials."

type object map[string]interface{}

var ctx = context.Background()

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func call(connection *varlink.Connection, method string, parameters object) object {
	var reply object
	check(connection.Call(ctx, credentials+method, parameters, &reply))
	return reply
}

func errorOf(err error) object {
	switch failure := err.(type) {
	case *varlink.Error:
		return object{"name": failure.Name, "parameters": failure.Parameters}
	case *varlink.InterfaceNotFound:
		return object{"name": failure.Error(), "parameters": failure}
	}
	panic(err)
}

func main() {
	connection, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	check(err)
	defer connection.Close()

	var vendor, product, version, url string
	var interfaces []string
	check(connection.GetInfo(ctx, &vendor, &product, &version, &url, &interfaces))
	description, err := connection.GetInterfaceDescription(ctx, "io.cio.Credentials")
	check(err)
	_, unknownInterface := connection.GetInterfaceDescription(ctx, "no.such.interface")

	created := call(connection, "Create", object{"credentials": []object{
		{"name": "cio_aws_access_key", "value": "AKIA"}, {"name": "binary", "data": "/wD/"},
	}})
	got := call(connection, "Get", object{"name": "cio_aws_access_key"})
	gotBinary := call(connection, "Get", object{"name": "binary"})

	receive, err := connection.Send(ctx, credentials+"List", object{}, varlink.More)
	check(err)
	listed := []object{}
	for {
		var reply object
		flags, err := receive(ctx, &reply)
		check(err)
		listed = append(listed, reply)
		if flags&varlink.Continues == 0 {
			break
		}
	}

	notFound := connection.Call(ctx, credentials+"Get", object{"name": "no-such-name"}, nil)
	exists := connection.Call(ctx, credentials+"Create", object{"credentials": []object{
		{"name": "binary", "value": "again"},
	}}, nil)
	afterErrors := call(connection, "Get", object{"name": "cio_aws_access_key"})

	check(json.NewEncoder(os.Stdout).Encode(object{
		"info": object{
			"vendor": vendor, "product": product, "version": version, "url": url, "interfaces": interfaces,
		},
		"description":      description,
		"unknownInterface": errorOf(unknownInterface),
		"created":          created,
		"got":              got,
		"gotBinary":        gotBinary,
		"listed":           listed,
		"notFound":         errorOf(notFound),
		"exists":           errorOf(exists),
		"afterErrors":      afterErrors,
	}))
}
