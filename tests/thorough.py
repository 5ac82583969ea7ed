"""What takes too long for every run of the suite, and runs where INITLAB_THOROUGH=1 says so."""

import os

IS_THOROUGH = os.environ.get("INITLAB_THOROUGH") == "1"
