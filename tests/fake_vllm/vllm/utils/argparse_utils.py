"""As in vLLM."""

import argparse


class FlexibleArgumentParser(argparse.ArgumentParser):
    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        return super().parse_args(args, namespace)
