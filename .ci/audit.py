"""Known vulnerabilities of what is installed, by pip-audit; where its database cannot be reached, a line says so."""

import json
import subprocess
import sys

WORDS = ["-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--timeout", "10", "--format", "json"]

done = subprocess.run([sys.executable, *WORDS], capture_output=True, text=True, check=False)
packages = json.loads(done.stdout)["dependencies"] if done.stdout.startswith("{") else []
audited = [package for package in packages if "vulns" in package]
if not audited:
    print("pip-audit: skipped, its database knows none of these packages or cannot be reached from here")
vulnerable = [package for package in audited if package["vulns"]]
for package in vulnerable:
    ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
    print(f"pip-audit: {package['name']} {package['version']}: {ids}", file=sys.stderr)
if audited and not vulnerable:
    print(f"pip-audit: {len(audited)} packages, no known vulnerability")
sys.exit(bool(vulnerable))
