#!/usr/bin/env bash
# install.sh   installs every engine that the suites need, or finds it installed; prints the folder that holds them
. "$(dirname "$0")/environment.sh"
install_python
install_jars
echo "$cache"
