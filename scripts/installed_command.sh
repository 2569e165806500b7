#!/bin/sh
# Prints the command as `make install` puts it in place: started by the interpreter that the module
# was built for, and finding the library where it was put, with any LUA_PATH of the user.
#
#   scripts/installed_command.sh COMMAND LUA LUA_DIR LIB_DIR
set -eu
interpreter=$(command -v "$2")
echo "#!$interpreter"
echo "package.path = \"$3/?.lua;$3/?/init.lua;\" .. package.path"
echo "package.cpath = \"$4/?.so;\" .. package.cpath"
sed 1d "$1"
