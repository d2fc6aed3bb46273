#!/usr/bin/env bash
# install.sh       installs every engine and client that the suites need, or finds it installed; prints the folder that holds them
# install.sh aws   only the clients of AWS
. "$(dirname "$0")/environment.sh"
install_boto3
install_aws_cli
if [ "${1:-}" != aws ]; then
  install_python
  install_jars
  install_aws_jars
fi
echo "$cache"
